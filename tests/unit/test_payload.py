"""Typed messages to JSON and back, and the door that refuses what cannot be stored."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from jobsaga.exceptions import InvalidMessage
from jobsaga.payload import (
    check_json,
    decode,
    encode,
    encode_fields,
    encode_value,
    json_schema,
    safe_text,
    type_problem,
)
from jobsaga.properties import Properties


class Codec(enum.Enum):
    H264 = "h264"


@dataclass
class Track:
    gain: float = 1.0
    language: str | None = None


@dataclass
class ConvertVideo:
    path: str
    tracks: list[Track] = field(default_factory=list)
    at: datetime | None = None
    id: UUID | None = None
    price: Decimal = Decimal("0.10")
    codec: Codec = Codec.H264
    quality: Literal["low", "high"] = "low"
    pause: timedelta = timedelta(0)
    tags: set[str] = field(default_factory=set)
    blob: bytes = b""
    extra: dict[str, Any] = field(default_factory=dict)
    poster: Track | None = None


class StructVideo(msgspec.Struct, rename="camel", omit_defaults=True):
    file_path: str
    max_size: int = 5


@attrs.define
class AttrsVideo:
    path: str
    size: int = attrs.field(default=1, validator=attrs.validators.gt(0))


class PydanticVideo(pydantic.BaseModel):
    path: str
    at: datetime | None = None
    size: int = pydantic.Field(default=1, gt=0)
    labels: dict[int, str] = {}
    ratio: float = 1.0


class PydanticAlias(pydantic.BaseModel):
    file_path: str = pydantic.Field(alias="filePath")


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    size: int = 1


FULL = ConvertVideo(
    path="ä.mp4",
    tracks=[Track(0.5, "de"), Track()],
    at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    id=UUID("98cfd366-56c2-4828-9af8-9ca9322630d2"),
    price=Decimal("1.10"),
    codec=Codec.H264,
    quality="high",
    pause=timedelta(seconds=1.5),
    tags={"a"},
    blob=b"\x00\xff",
    extra={"a": [1, 2.5, None, True]},
    poster=Track(),
)
MESSAGES = [
    FULL,
    ConvertVideo("a.mp4"),
    StructVideo("a.mp4"),
    StructVideo("a.mp4", 7),
    AttrsVideo("a.mp4", 2),
    PydanticVideo(path="a.mp4", at=FULL.at, labels={1: "one"}),
    PydanticAlias(filePath="a.mp4"),
    PydanticDataclass(3),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_being_stored_as_json(message: object) -> None:
    stored = json.loads(json.dumps(encode(message), allow_nan=False))
    assert decode(type(message), stored) == message


def test_a_job_without_a_message_stores_an_empty_object() -> None:
    assert encode(None) == {}
    assert encode_fields(None, {}) == {}
    assert decode(None, {}) is None


def test_an_older_worker_reads_what_a_newer_site_wrote() -> None:
    assert decode(ConvertVideo, {"path": "a.mp4", "added_later": 1}) == ConvertVideo("a.mp4")


def door(value: object, **limits: int) -> str:
    with pytest.raises(InvalidMessage) as caught:
        encode_value(value, "message", **limits)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"tracks": [{}, {"gain": float("nan")}]}, "message.tracks[1].gain is nan; JSON has no such number"),
        ({"gain": float("-inf")}, "message.gain is -inf; JSON has no such number"),
        ({"name": "a\0b"}, "message.name has a NUL character at position 1, which databases refuse"),
        ({"name": "\ud800"}, "message.name has half a surrogate pair at position 0, which databases refuse"),
        ({"a\0": 1}, "message has the key 'a\\x00', which databases refuse"),
        ({"sizes": {1: "a"}}, "message.sizes has the key 1; keys must be strings"),
        ({"size": 2**63}, "message.size is a whole number of more than 64 bits; store it as a string"),
        ({"size": -(2**63) - 1}, "message.size is a whole number of more than 64 bits; store it as a string"),
        ({"size": 10**400}, "message.size is a whole number of more than 64 bits; store it as a string"),
        ({"odd key": [object()]}, "message['odd key'][0] is a object, which JSON cannot hold"),
        (lambda: 1, "message is a function, which JSON cannot hold"),
        ([ConvertVideo], "message[0] is a type, which JSON cannot hold"),
        (Track(float("inf")), "message.gain is inf; JSON has no such number"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_stored_is_refused_with_the_path_to_it(value: object, said: str) -> None:
    assert door(value) == said


def test_nesting_has_an_end() -> None:
    def nested(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels - 1):
            value = [value]
        return value

    circle: list[Any] = []
    circle.append(circle)
    assert encode_value(nested(31), "message") == nested(31)
    assert "nested more than 31 levels deep" in door(nested(32))
    assert "contains itself" in door(circle)


def test_the_size_is_that_of_the_json() -> None:
    assert encode_value("x" * 98, "message", max_bytes=100) == "x" * 98
    assert door("x" * 99, max_bytes=100) == (
        'message takes 101 bytes as JSON; at most 100 are allowed (JOBSAGA["MAX_MESSAGE_BYTES"])'
    )
    assert "bytes as JSON" in door("ä" * 50, max_bytes=100)


def test_check_json_takes_only_plain_json() -> None:
    check_json({"a": [1, 2.5, "x", None, True, {}]}, "result")
    with pytest.raises(InvalidMessage, match=r"^result\.at is a datetime\.datetime, which JSON cannot hold$"):
        check_json({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "result")


class Shouting(str):
    def __str__(self) -> str:
        return self.upper()


class Number(int):
    pass


def test_values_become_plain_json() -> None:
    value = {
        "safe": mark_safe("<b>"),
        "shouting": Shouting("a"),
        "number": Number(5),
        "properties": Properties({"Tenant": "acme"}),
        "tuple": (1, 2),
        "message": PydanticVideo(path="a"),
    }
    plain = encode_value(value, "state")
    assert json.loads(json.dumps(plain)) == {
        "safe": "<b>",
        "shouting": "a",
        "number": 5,
        "properties": {"Tenant": "acme"},
        "tuple": [1, 2],
        "message": {"path": "a", "at": None, "size": 1, "labels": {}, "ratio": 1.0},
    }
    assert {type(plain[name]) for name in ("safe", "shouting")} == {str}
    assert type(plain["number"]) is int


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(InvalidMessage) as caught:
        call(*args)
    return str(caught.value)


def test_a_message_no_worker_could_read_is_refused_when_it_is_submitted() -> None:
    assert refused(encode, ConvertVideo(path=5)) == "message.path is not valid: expected `str`, got `int`"  # type: ignore[arg-type]
    assert "message.ratio is nan" in refused(
        encode, PydanticVideo.model_construct(path="a", ratio=float("nan"))
    )
    assert "message.size is not valid" in refused(encode, PydanticVideo.model_construct(path="a", size=0))
    assert refused(encode, [1]) == (
        "message is a list; a message is a dataclass, a msgspec.Struct, an attrs class or a pydantic model"
    )


def test_fields_given_by_name_are_checked_and_completed() -> None:
    assert encode_fields(AttrsVideo, {"path": "a"}) == {"path": "a", "size": 1}
    assert encode_fields(StructVideo, {"filePath": "a", "maxSize": 5}) == {"filePath": "a"}
    assert encode_fields(PydanticVideo, {"path": "a"})["size"] == 1
    assert encode_fields(ConvertVideo, encode(FULL)) == encode(FULL)


@pytest.mark.parametrize(
    ("message_type", "fields", "said"),
    [
        (ConvertVideo, {}, "path is missing"),
        (
            ConvertVideo,
            {"path": "a", "tracks": [{"gain": "x"}]},
            "tracks[0].gain is not valid: expected `float`, got `str`",
        ),
        (ConvertVideo, {"path": "a", "quality": "no"}, "quality is not valid: invalid enum value 'no'"),
        (ConvertVideo, {"pth": "a"}, "pth is unknown. Did you mean path?"),
        (
            ConvertVideo,
            {"path": "a", "tracks": [{}, {"gian": 1}]},
            "tracks[1].gian is unknown. Did you mean gain?",
        ),
        (ConvertVideo, {"path": "a", "poster": {"gian": 1}}, "poster.gian is unknown. Did you mean gain?"),
        (PydanticVideo, {}, "path is missing"),
        (PydanticVideo, {"path": "a", "size": 0}, "size is not valid: Input should be greater than 0"),
        (
            PydanticVideo,
            {"path": "a", "zz": 0},
            "zz is unknown. The fields are: path, at, size, labels, ratio",
        ),
        (None, {"path": "a"}, "path is unknown. There are no fields at all"),
    ],
)
def test_wrong_fields_are_refused_by_name(message_type: type | None, fields: Any, said: str) -> None:
    assert refused(encode_fields, message_type, fields) == f"message.{said}"


def test_wrong_messages_are_refused_as_a_whole() -> None:
    assert (
        refused(encode_fields, AttrsVideo, {"path": "a", "size": 0})
        == "message is not valid: 'size' must be > 0: 0"
    )
    assert refused(encode_fields, ConvertVideo, []) == "message is not valid: expected `object`, got `array`"


class Circle(msgspec.Struct, tag=True):
    radius: int


class Square(msgspec.Struct, tag=True):
    side: int
    color: str = ""


@dataclass
class Drawing:
    shapes: list[Circle | Square]


@dataclass
class Album:
    by_name: dict[str, Track] = field(default_factory=dict)
    by_number: dict[int, Track] = field(default_factory=dict)


def test_fields_of_what_a_dict_holds() -> None:
    known = {"by_name": {"any name": {"gain": 2.0, "language": None}}, "by_number": {}}
    assert encode_fields(Album, known) == known
    said = refused(encode_fields, Album, {"by_name": {"any name": {"gian": 2.0}}})
    assert said == "message.by_name['any name'].gian is unknown. Did you mean gain?"


def test_the_keys_of_a_dict() -> None:
    said = refused(encode_fields, Album, {"by_number": {"one": {}}})
    assert said == "message.by_number has a key that is not valid: expected `int`, got `str`"


def test_fields_of_one_of_several_classes() -> None:
    square = {"type": "Square", "side": 1, "color": "red"}
    assert encode_fields(Drawing, {"shapes": [square]}) == {"shapes": [square]}
    said = refused(
        encode_fields, Drawing, {"shapes": [square, {"type": "Circle", "radius": 1, "colour": "red"}]}
    )
    assert said.startswith("message.shapes[1].colour is unknown.")


def test_free_form_fields_may_hold_anything() -> None:
    fields = {"path": "a", "extra": {"anything": {"goes": [1]}}}
    assert encode_fields(ConvertVideo, fields)["extra"] == fields["extra"]


def test_the_schema_names_the_fields() -> None:
    assert set(json_schema(ConvertVideo)["$defs"]["ConvertVideo"]["properties"]) >= {"path", "tracks"}
    assert set(json_schema(PydanticVideo)["properties"]) == {"path", "at", "size", "labels", "ratio"}
    assert json_schema(None) == {"type": "object", "properties": {}}


class Plain:
    pass


@dataclass
class HoldsPlain:
    plain: Plain


@dataclass
class HoldsNothingKnown:
    value: NoSuchName  # type: ignore[name-defined]  # noqa: F821


@dataclass
class HoldsUnion:
    either: Track | ConvertVideo


@pytest.mark.parametrize(
    "supported", [ConvertVideo, StructVideo, AttrsVideo, PydanticVideo, PydanticDataclass, None]
)
def test_supported_message_types(supported: type | None) -> None:
    assert type_problem(supported) is None


def test_a_class_in_the_place_of_its_object() -> None:
    with pytest.raises(InvalidMessage, match="is the class Track; a message is an object of it"):
        encode(Track)


def test_unsupported_message_types_say_why() -> None:
    assert "a message is a dataclass" in str(type_problem(Plain))
    assert "a message is a dataclass" in str(type_problem(dict))
    assert "has a field that cannot be stored" in str(type_problem(HoldsPlain))
    assert f"it is a {__name__}.Plain, which JSON cannot hold" in str(type_problem(HoldsPlain))
    assert "NoSuchName" in str(type_problem(HoldsNothingKnown))
    assert "more than one dataclass" in str(type_problem(HoldsUnion))


def test_safe_text_keeps_beginning_and_end() -> None:
    assert safe_text("a\0b\ud800c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert safe_text("x" * 8192) == "x" * 8192
    cut = safe_text("begin" + "x" * 10_000 + "end", 200)
    assert len(cut) == 200
    assert cut.startswith("begin")
    assert cut.endswith("end")
    assert "10008 characters" in cut


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=400), st.integers(0, 300))
def test_safe_text_is_always_storable(text: str, limit: int) -> None:
    safe = safe_text(text, limit)
    assert len(safe) <= limit
    check_json(safe, "text")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(alphabet=st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_passes_the_door_is_strict_json_and_comes_back_the_same(value: Any) -> None:
    try:
        check_json(value, "value")
    except InvalidMessage:
        return
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert "\0" not in text
    text.encode()
    assert json.loads(text) == value


def test_pydantic_is_loaded_only_for_its_own_classes() -> None:
    code = (
        "import sys, dataclasses; from jobsaga.payload import encode\n"
        "@dataclasses.dataclass\nclass A:\n x: int\n"
        "encode(A(1)); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
