"""The closed tree of a check's formula: what a template may ask, and nothing else.

A formula as written is a `Node`; once its parameters are filled in and every literal has been found
on its feature's grid it is a `Bound` (`bind.py`). Only a `Bound` can be evaluated or charged, so a
question that skipped the grid does not type-check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
"""Names of owners, features and parameters; 63 characters is what PostgreSQL keeps of a name."""

MAX_DIGITS: Final = 38
"""Most digits on either side of the decimal point: those of the widest SQL DECIMAL in DuckDB."""

MAX_CLASSES: Final = 8
"""Most classes of an unordered feature (DESIGN, section 8), hence most in one `IN`."""

MAX_CLASS_CHARACTERS: Final = 64
"""Longest class name: a heading of an industry classification fits, a record does not."""


class Operator(StrEnum):
    """The two comparisons whose cells are half-open [c_k, c_k+1): no other operator cuts there."""

    AT_LEAST = ">="
    BELOW = "<"


@dataclass(frozen=True, slots=True, order=True)
class FeatureRef:
    """A feature by its owner and its name within that owner; written `owner.name`."""

    owner: str
    name: str

    def __post_init__(self) -> None:
        check_name(self.owner, "owner")
        check_name(self.name, "name")

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> FeatureRef:
        """Read `owner.name`.

        Raises:
            SafeRoomError: `MALFORMED`, if it is anything else.
        """
        owner, _, name = text.partition(".")
        return cls(owner, name)


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter, written `:name`; its domain is the grid or the classes of its feature."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "param")

    def __str__(self) -> str:
        return f":{self.name}"


@dataclass(frozen=True, slots=True)
class Compare:
    """`feature >= bound` or `feature < bound`, of an ordered feature; unknown stays unknown."""

    feature: FeatureRef
    op: Operator
    bound: Decimal | Param

    def __post_init__(self) -> None:
        if self.op not in tuple(Operator):
            raise _malformed("op", "a threshold is compared with >= or <")
        if isinstance(self.bound, Decimal):
            check_number(self.bound, "bound")


@dataclass(frozen=True, slots=True)
class IsIn:
    """`feature = class` or `feature IN (classes)`, unordered; unknown stays unknown."""

    feature: FeatureRef
    classes: tuple[str | Param, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise _malformed("classes", f"name 1 to {MAX_CLASSES} classes")
        if len(set(self.classes)) != len(self.classes):
            raise _malformed("classes", "a class is named twice")
        for name in self.classes:
            if isinstance(name, str):
                check_class(name, "classes")


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag standing alone: true, false, or unknown where the flag is unknown."""

    feature: FeatureRef


@dataclass(frozen=True, slots=True)
class IsFlag:
    """`feature IS TRUE` or `IS FALSE`: never unknown; for an unknown flag both are false.

    Its answer therefore tells an unknown flag from one of the two others, which the price of a flag
    that can be unknown covers (`shape.FeatureShape.cells_told`).
    """

    feature: FeatureRef
    value: bool | Param


@dataclass(frozen=True, slots=True)
class IsNull:
    """`feature IS NULL`, or `IS NOT NULL` when negated: whether it is unknown; never unknown."""

    feature: FeatureRef
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Bound: the feature's cell lies above a cut. A flag alone is this question at its one cut."""

    feature: FeatureRef
    cut: int


@dataclass(frozen=True, slots=True)
class Among:
    """Bound: the feature's class is one of these, by index."""

    feature: FeatureRef
    classes: frozenset[int]


@dataclass(frozen=True, slots=True)
class IsCell:
    """Bound: the flag is known and in this cell (0 false, 1 true); never unknown."""

    feature: FeatureRef
    cell: int


T = TypeVar("T", covariant=True)  # noqa: PLC0105 -- one letter reads better in And[T]


@dataclass(frozen=True, slots=True)
class And(Generic[T]):
    """All parts hold. A part is never itself an `And`: one conjunction has one shape."""

    parts: tuple[T, ...]

    def __post_init__(self) -> None:
        _check_parts(self.parts, And)


@dataclass(frozen=True, slots=True)
class Or(Generic[T]):
    """At least one part holds. A part is never itself an `Or`."""

    parts: tuple[T, ...]

    def __post_init__(self) -> None:
        _check_parts(self.parts, Or)


@dataclass(frozen=True, slots=True)
class Not(Generic[T]):
    """The part does not hold; unknown stays unknown."""

    part: T


Leaf: TypeAlias = Compare | IsIn | Flag | IsFlag | IsNull
Node: TypeAlias = Leaf | And["Node"] | Or["Node"] | Not["Node"]
"""A formula as its template states it."""

BoundLeaf: TypeAlias = AtLeast | Among | IsCell | IsNull
Bound: TypeAlias = BoundLeaf | And["Bound"] | Or["Bound"] | Not["Bound"]
"""A formula whose every comparison stands on a cut of its feature's grid."""


def leaves(node: Node) -> Iterator[Leaf]:
    """The questions a formula puts to single features, from left to right."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield node


def bound_leaves(node: Bound) -> Iterator[BoundLeaf]:
    """The questions a bound formula puts to single features, from left to right."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from bound_leaves(part)
        case Not(part):
            yield from bound_leaves(part)
        case _:
            yield node


def all_of(parts: Iterable[Node]) -> Node:
    """The conjunction of one or more nodes, with the conjunctions among them unfolded."""
    flat = tuple(
        inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))
    )
    return flat[0] if len(flat) == 1 else And(flat)


def any_of(parts: Iterable[Node]) -> Node:
    """The disjunction of one or more nodes, with the disjunctions among them unfolded."""
    flat = tuple(
        inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))
    )
    return flat[0] if len(flat) == 1 else Or(flat)


def check_name(text: str, field: str) -> None:
    """Refuse what is no name of an owner, a feature or a parameter.

    Raises:
        SafeRoomError: `MALFORMED`, naming the field.
    """
    if NAME.fullmatch(text) is None:
        raise _malformed(field, "1 to 63 of a-z, 0-9 and _, beginning with a letter")


def check_number(number: Decimal, field: str) -> None:
    """Refuse NaN, infinities, and numbers that need more than 38 digits on a side of the point.

    Raises:
        SafeRoomError: `MALFORMED`, naming the field.
    """
    exponent = number.as_tuple().exponent
    if isinstance(exponent, str):
        raise _malformed(field, "a threshold is a finite number")
    if exponent < -MAX_DIGITS or number.adjusted() >= MAX_DIGITS:
        raise _malformed(field, f"at most {MAX_DIGITS} digits on each side of the point")


def check_class(name: str, field: str) -> None:
    """Refuse what is no class name: 1 to 64 printable characters (of any script).

    Raises:
        SafeRoomError: `MALFORMED`, naming the field.
    """
    if not 1 <= len(name) <= MAX_CLASS_CHARACTERS or not name.isprintable():
        raise _malformed(field, f"a class is 1 to {MAX_CLASS_CHARACTERS} printable characters")


def _check_parts(parts: tuple[object, ...], kind: type) -> None:
    if len(parts) < 2:  # noqa: PLR2004 -- joining takes two
        raise _malformed("check", "AND and OR join at least two parts")
    if any(isinstance(part, kind) for part in parts):
        raise _malformed("check", "nested conjunctions and disjunctions of one kind are unfolded")


def _malformed(field: str, rule: str) -> SafeRoomError:
    return SafeRoomError(Reason.MALFORMED, f"{field}: {rule}", (FieldFault(field, rule),))
