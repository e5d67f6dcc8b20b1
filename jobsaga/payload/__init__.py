"""What can be stored, and how it is stored.

A message is a dataclass, a ``msgspec.Struct``, an attrs class or a pydantic model. It is stored as a JSON
object; the name of the job type says which class it is, so classes may move between modules.

Everything a user hands over to be stored (messages, properties, saved state, results) passes this door. What
some database would refuse or change is refused here, in the caller's own stack, with the path to the field:
"message.tracks[3].gain is nan; JSON has no such number".
"""

from jobsaga.payload.codec import decode, encode, encode_fields, encode_value, json_schema, type_problem
from jobsaga.payload.door import MAX_MESSAGE_BYTES, check_json, safe_text
from jobsaga.properties import Properties

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Properties",
    "check_json",
    "decode",
    "encode",
    "encode_fields",
    "encode_value",
    "json_schema",
    "safe_text",
    "type_problem",
]
