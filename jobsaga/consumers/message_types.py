"""Which message a consumer class takes, read from its bases.

``class ConvertVideoConsumer(JobConsumer[ConvertVideo])`` says it directly. There may be generic classes in between
(``class Base(JobConsumer[T])``, ``class Consumer(Base[ConvertVideo])``), and forward references
(``JobConsumer["ConvertVideo"]``), which are names in the module of the class that has them among its bases.
"""

from __future__ import annotations

import sys
from typing import Any, ForwardRef, TypeVar, get_args, get_origin

from jobsaga.exceptions import UnresolvedMessageType


def message_type_of(consumer: type, root: type) -> type | None:
    """The argument that ``consumer`` gives to ``root``, its generic base; None for ``root[None]``.

    Raises UnresolvedMessageType.
    """
    found = _argument(consumer, root)
    if found is type(None):
        return None
    if isinstance(found, type):
        return found
    name, base = full_name(consumer), root.__name__
    if found is None or isinstance(found, TypeVar):
        raise UnresolvedMessageType(
            f"{name} does not say which message it takes: derive it from {base}[YourMessage], "
            f"or from {base}[None] when it takes none."
        )
    raise UnresolvedMessageType(f"{name} takes {found}, but a message type must be a class.")


def full_name(source: Any) -> str:
    """The dotted name of a class or function."""
    return f"{source.__module__}.{source.__qualname__}"


def _argument(cls: type, root: type) -> object:
    """What ``cls`` puts in the place of the parameter of ``root``: a class, a type variable of its own, or None."""
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin, given = get_origin(base) or base, get_args(base)
        if origin is root:
            return _resolved(given[0], cls) if given else None
        if isinstance(origin, type) and issubclass(origin, root):
            wanted = _argument(origin, root)
            if not isinstance(wanted, TypeVar):
                return wanted
            parameters = getattr(origin, "__parameters__", ())
            return _resolved(given[parameters.index(wanted)], cls) if given else None
    return None


def _resolved(argument: object, cls: type) -> object:
    """``argument``, or what it refers to when it is a forward reference in the bases of ``cls``."""
    if not isinstance(argument, ForwardRef):
        return argument
    first, *rest = argument.__forward_arg__.split(".")
    found = vars(sys.modules[cls.__module__]).get(first)
    for name in rest:
        found = getattr(found, name, None)
    if found is None:
        raise UnresolvedMessageType(
            f"{full_name(cls)} takes a message {argument.__forward_arg__!r}, "
            f"but there is no such name in the module {cls.__module__}."
        )
    return found
