"""The made-up books: 480 firms, in columns of which each is there for one attack on tables.

Eight times sixty firms, sorted anew for each attack, so that none's columns have to do with
another's. What an attack is after are sets of one to nine firms; an owner's promise is that no
number tells such a set apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random
from typing import Final

from saferoom_proto.formula import Absent, FeatureKind, FeatureRef, FeatureShape
from saferoom_proto.statements import ClassCell, Column, ColumnType, Feature, Schema, Table, Title
from saferoom_proto.uscc import make_uscc

OWNER: Final = "books"
GROUPS: Final = 8
"""As many classes as a partition has."""
EACH: Final = 60
FIRMS: Final = GROUPS * EACH
LEVEL: Final = 2
FEW: Final = (3, 5, 2, 4, 1, 5, 3, 4)
"""How many firms of each group are in the set that is attacked."""
GRADED: Final = (41, 67, 53, 72, 58, 49, 63, 77)
"""How many firms have each grade; no two differ from tens by as much."""
AMOUNTS: Final = 64
GRIDS: Final = ((7, 15, 24, 33, 41, 50, 58), (8, 16, 23, 35, 40, 49, 59))
"""Two grids over one amount, as two offices might have chosen them."""
OFTEN: Final = 0.4
"""How often each of the flags beside the amount is set."""
GIANTS: Final = 31
"""Sizes that the largest firm of a branch can have, each a tenth above the one before."""
_SMALLEST_GIANT: Final = 1_000_000
_FIRST_SERIAL: Final = 500_001
"""Beyond all firms that are attacked by checks."""

Row = Mapping[str, int]
"""A firm's value in each column: a class by its number, a flag as 0 or 1, or an amount."""


@dataclass(frozen=True, slots=True)
class Book:
    """A column, as its owner offers it.

    Attributes:
        name: of the feature.
        column: of the table.
        kind: classes, a flag, or an amount.
        grid: of an amount.
        owner: whose it is.
        many: how many classes it has.
    """

    name: str
    column: str
    kind: FeatureKind
    grid: tuple[int, ...] = ()
    owner: str = OWNER
    many: int = GROUPS

    @property
    def ref(self) -> FeatureRef:
        """Its full name."""
        return FeatureRef(self.owner, self.name)

    @property
    def shape(self) -> FeatureShape:
        """Give its classes, as tables have them."""
        grid = tuple(Decimal(cut) for cut in self.grid)
        classes = self.classes if self.kind is FeatureKind.CLASSES else ()
        return FeatureShape(self.ref, self.kind, grid, classes, Absent.FALSE)

    @property
    def classes(self) -> tuple[str, ...]:
        """Name its classes, if it has such."""
        return tuple(f"c{number}" for number in range(self.many))

    def code(self, row: Row) -> int:
        """Give the number of a firm's class."""
        value = row[self.column]
        return sum(cut <= value for cut in self.grid) if self.grid else value

    def statement(self, room: str) -> Feature:
        """Write it as its owner signs it."""
        fields: dict[str, object] = {
            "room": room,
            "owner": self.owner,
            "name": self.name,
            "version": 1,
            "title": _title(self.name),
            "unit": "",
            "level": LEVEL,
            "family": self.name,
            "information_types": (),
            "as_of": date(2026, 6, 30),
            "sql": f"SELECT uscc AS subject, {self.column} AS value FROM entries",  # noqa: S608 -- ours
            "kind": self.kind,
            "absent": Absent.FALSE,
            "budget_bits": Decimal(4),
        }
        if self.grid:
            fields["grid"] = tuple(Decimal(cut) for cut in self.grid)
        if self.kind is FeatureKind.CLASSES:
            fields["classes"] = tuple(ClassCell(name=each, values=(each,)) for each in self.classes)
        return Feature.model_validate(fields)


def _of(kind: FeatureKind, *names: str) -> tuple[Book, ...]:
    return tuple(Book(name, name, kind) for name in names)


TRADE, DISTRICT, OFFICE, LINE, BRANCH, GRADE = _of(
    FeatureKind.CLASSES, "trade", "district", "office", "line", "branch", "grade"
)
LATE, FIRST, SECOND, THIRD = _of(FeatureKind.FLAG, "late", "first", "second", "third")
TURNED, KNOWN, YOUNG = _of(FeatureKind.FLAG, "turned", "known", "young")
PAID, DUE = (
    Book(name, "amount", FeatureKind.ORDERED, grid)
    for name, grid in zip(("paid", "due"), GRIDS, strict=True)
)
SALES: Final = Book("sales", "sales", FeatureKind.ORDERED, (10_000,))
BOOKS: Final = (
    *(TRADE, LATE, DISTRICT, OFFICE, LINE, FIRST, SECOND, THIRD, BRANCH, SALES, GRADE),
    *(PAID, DUE, TURNED, KNOWN, YOUNG),
)
_TYPES: Final = {
    FeatureKind.CLASSES: ColumnType.TEXT,
    FeatureKind.FLAG: ColumnType.BOOLEAN,
    FeatureKind.ORDERED: ColumnType.BIGINT,
}


def giant(branch: int) -> int:
    """Give which of the sizes the largest firm of a branch has."""
    return 3 + FEW[branch] * 2


def size_of(step: int) -> int:
    """Give a size of a largest firm."""
    return round(_SMALLEST_GIANT * 1.1**step)


def rows(seed: int, *, later: bool = False) -> list[Row]:
    """Make the firms.

    Args:
        seed: of the amounts, and of who stands beside whom.
        later: as they are in the next period: of each grade a few have the next.
    """
    dice = Random(f"books {seed}")  # noqa: S311 -- an experiment's, to be repeated
    firms: list[dict[str, int]] = [{} for _ in range(FIRMS)]
    for made in (_trades(), _districts(), _lines(), _branches(dice), _grades()):
        entries = list(made)
        dice.shuffle(entries)
        for firm, entry in zip(firms, entries, strict=True):
            firm.update(entry)
    for firm in firms:
        firm["amount"] = dice.randrange(AMOUNTS)
        firm |= {name: int(dice.random() < OFTEN) for name in ("turned", "known", "young")}
    if later:
        _promote(firms)
    return list(firms)


def _trades() -> Iterator[dict[str, int]]:
    for trade in range(GROUPS):
        for firm in range(EACH):
            yield {"trade": trade, "late": int(firm < FEW[trade])}


def _districts() -> Iterator[dict[str, int]]:
    """Each district has an office of its own, and a few of its firms go to the next one."""
    for district in range(GROUPS):
        for firm in range(EACH):
            moved = district + 1 < GROUPS and firm < FEW[district]
            yield {"district": district, "office": district + moved}


def _lines() -> Iterator[dict[str, int]]:
    """Few firms of a line have all three flags or none; of one or two flags there are many."""
    mixed = ((1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    for line in range(GROUPS):
        for firm in range(EACH):
            alike = (firm % 2,) * 3
            flags = alike if firm < FEW[line] else mixed[firm % len(mixed)]
            yield {"line": line, **dict(zip(("first", "second", "third"), flags, strict=True))}


def _branches(dice: Random) -> Iterator[dict[str, int]]:
    for branch in range(GROUPS):
        yield {"branch": branch, "sales": size_of(giant(branch))}
        yield {"branch": branch, "sales": SECOND_LARGEST}
        for _ in range(EACH - 2):
            yield {"branch": branch, "sales": dice.randint(SMALLEST, SMALL)}


SECOND_LARGEST: Final = 20_000
"""What the attacker's own firm sells, in each branch."""
SMALLEST, SMALL = 100, 900
"""Between which all other firms of a branch sell, as is known of them."""


def _grades() -> Iterator[dict[str, int]]:
    for grade, many in enumerate(GRADED):
        yield from ({"grade": grade} for _ in range(many))


def _promote(firms: Sequence[dict[str, int]]) -> None:
    left: list[int] = [*FEW[:-1]]
    for firm in firms:
        grade = firm["grade"]
        if grade < len(left) and left[grade]:
            left[grade] -= 1
            firm["grade"] = grade + 1


def csv_of(firms: Sequence[Row], books: Sequence[Book] = BOOKS) -> str:
    """Write the store's file."""
    columns = _columns(books)
    lines = [",".join(("uscc", *columns))]
    for serial, firm in enumerate(firms, _FIRST_SERIAL):
        told = (_written(kind, firm[name]) for name, kind in columns.items())
        lines.append(",".join((make_uscc(serial), *told)))
    return "\n".join(lines) + "\n"


def schema(room: str, books: Sequence[Book] = BOOKS) -> Schema:
    """Write the table as its owner signs it."""
    kinds = {name: _TYPES[kind] for name, kind in _columns(books).items()}
    columns = [
        Column(name=name, type=kind, level=LEVEL, title=_title(name))
        for name, kind in ({"uscc": ColumnType.TEXT} | kinds).items()
    ]
    table = Table(name="entries", title=_title("entries"), key="uscc", columns=tuple(columns))
    return Schema(room=room, owner=books[0].owner, version=1, tables=(table,))


def _columns(books: Sequence[Book]) -> dict[str, FeatureKind]:
    return {each.column: each.kind for each in books}


def _written(kind: FeatureKind, value: int) -> str:
    match kind:
        case FeatureKind.CLASSES:
            return f"c{value}"
        case FeatureKind.FLAG:
            return "true" if value else "false"
        case _:
            return str(value)


def _title(text: str) -> Title:
    return Title(en=text, zh=text)
