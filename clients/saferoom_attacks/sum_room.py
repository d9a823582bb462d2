"""Sums over four owners, as banks with valid certificates ask for them through the SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from saferoom_attacks.ask import BANK
from saferoom_attacks.blurred import cells_of
from saferoom_attacks.books import Book, Row
from saferoom_attacks.ground import Ground
from saferoom_attacks.offices import HOUSES, OWNERS, STREETS, Added, Counts, Place, figures_of
from saferoom_attacks.patience import verdict_of
from saferoom_attacks.table_ask import Plan, aggregate_of
from saferoom_attacks.table_room import PURPOSE, TableRoom, proposed
from saferoom_proto.formula import FeatureKind
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate
from saferoom_proto.statements.aggregate import Privacy
from saferoom_proto.tables.summed import TableShares

SHARP: Final = Privacy(epsilon=Decimal(10), cap=Decimal(20))
"""The least noise that there can be: what hides an owner's figures are the rules and the shares."""


def books_of(owner: str) -> tuple[Book, Book]:
    """Give an owner's columns: streets and houses."""
    kind = FeatureKind.CLASSES
    return Book("street", "street", kind, owner=owner, many=STREETS), Book(
        "house", "house", kind, owner=owner, many=HOUSES
    )


def firms_of(figures: Mapping[Place, int]) -> list[Row]:
    """Give an owner's firms: of each cell as many as its figure says."""
    return [
        {"street": street, "house": house}
        for (street, house), many in figures.items()
        for _ in range(many)
    ]


def plan_of_owner(owner: str) -> Plan:
    """Count an owner's firms in each cell."""
    books = books_of(owner)
    return Plan(books, 1, only=(books,), privacy=SHARP, common=True)


def summed_over(owners: Sequence[str]) -> Aggregate:
    """Count the firms of owners together in each cell."""
    plan = aggregate_of(plan_of_owner(owners[0]))
    return Aggregate.model_validate(dict(plan) | {"owners": tuple(owners)})


def shares_of(owners: Mapping[str, TableShares]) -> dict[str, dict[Place, int]]:
    """Give each owner's shares, by cell."""
    return {owner: dict(_shares(each)) for owner, each in owners.items()}


def _shares(told: TableShares) -> Iterator[tuple[Place, int]]:
    (table,) = told.tables()
    cells = cells_of((), books_of(OWNERS[0]))
    for ((_, (street, house)), _), share in zip(cells, table, strict=True):
        yield (street, house), share.value


class SumRoom:
    """Asks an open room for sums.

    Args:
        ground: the room; the four owners are in it.
        told: is told how many requests there were.
        seed: of the owners' figures.
    """

    def __init__(self, ground: Ground, told: Callable[[int], None], seed: int) -> None:
        self._ground: Final = ground
        self._told: Final = told
        self._templates: Final[dict[tuple[str, ...], str]] = {}
        self._count = 0
        self._rooms: Final = {
            owner: TableRoom(ground, lambda _: None, books_of(owner), Reason.CONFLICT)
            for owner in OWNERS
        }
        for owner, figures in figures_of(seed).items():
            self._rooms[owner].build(firms_of(figures))

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return self._count + sum(each.asked for each in self._rooms.values())

    def add_up(self, bank: str, owners: Sequence[str]) -> Added | None:
        """Ask for the sum over these owners; none if it is refused."""
        named = tuple(owners)
        if named not in self._templates:
            name = f"sum-{len(self._templates) + 1}"
            self._templates[named] = proposed(self._ground, BANK, name, summed_over(owners))
        self._count += 1
        self._told(self.asked)
        room = self._ground.room(bank)
        answer = verdict_of(partial(room.add_up, self._templates[named], purpose=PURPOSE))
        tables, refused = answer.verified.tables, answer.verified.refused
        if tables is None:
            if refused is None or refused.reason is not Reason.CONFLICT:
                # Silence for another reason would hold any bound.
                why = "no word" if refused is None else refused.reason
                raise SafeRoomError(Reason.INTERNAL, f"a sum over owners: {why}")
            return None
        opened = {
            part.owner: TableShares.from_bytes(part.shares.encode())
            for part in answer.receipt.parts
            if part.shares is not None
        }
        (table,) = tables
        numbers = (float(cell.number or "nan") for cell in table.cells)
        cells = (codes for (_, codes), _ in cells_of((), books_of(owners[0])))
        return Added(
            {(street, house): each for (street, house), each in zip(cells, numbers, strict=True)},
            shares_of(opened),
        )

    def alone(self, bank: str, owner: str) -> Counts | None:
        """Ask for the tables of one owner; none if they are refused."""
        told = self._rooms[owner].tell(bank, plan_of_owner(owner))
        self._told(self.asked)
        return {(street, house): number for (_, (street, house)), number in told.items()} or None
