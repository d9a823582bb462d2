"""The room's books, as banks with valid certificates ask for tables of them through the SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from saferoom_attacks.ask import ALLIES, BANK, RIVALS, group_of
from saferoom_attacks.blurred import BLURRED, blurred_rows, width_of
from saferoom_attacks.books import BOOKS, Book, Row, csv_of, schema
from saferoom_attacks.ground import Ground
from saferoom_attacks.patience import reason_of, verdict_of
from saferoom_attacks.table_ask import Cell, Plan, Sheet, aggregate_of
from saferoom_client.demo.stage import APPROVERS, THRESHOLD
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Aggregate, Purpose, Template, Title
from saferoom_proto.tables.asked import classes_of
from saferoom_proto.tables.told import Told

ASKERS: Final = (BANK, *RIVALS[:3], *ALLIES[:2])
"""Banks that may ask for tables: four groups of one, and two of another."""
PURPOSE: Final = Purpose.PRODUCT_DESIGN


class TableRoom:
    """Asks an open room for tables.

    Args:
        ground: the room; the owner of the books is in it.
        told: is told how many tables were asked for.
        books: the owner's columns.
        refusal: why tables with noise may be refused; silence for another reason ends the run.
    """

    def __init__(
        self,
        ground: Ground,
        told: Callable[[int], None],
        books: Sequence[Book] = BOOKS,
        refusal: Reason = Reason.OVER_BUDGET,
    ) -> None:
        self._ground: Final = ground
        self._told: Final = told
        self._books: Final = books
        self._refusal: Final = refusal
        self._owner: Final = books[0].owner
        self._charged: Final[dict[str, Decimal]] = {}
        self._templates: Final[dict[tuple[str, Plan], str]] = {}
        self._schema = ""
        self._count = 0

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        return self._count

    @property
    def charged(self) -> Mapping[str, Decimal]:
        """What each group was charged, by what the enclave signed."""
        return dict(self._charged)

    def build(self, firms: Sequence[Row]) -> None:
        """Have the owner define its books, load them, and agree with banks."""
        origin = self._ground.stage.cast.origin
        owner = self._ground.room(self._owner, APPROVERS[0])
        self._schema = owner.put_schema(schema(origin, self._books)).statement.digest
        for book in self._books:
            owner.put_feature(book.statement(origin))
        for bank in ASKERS:
            self._ground.agree(bank, (PURPOSE,), owner=self._owner)
        self.next_period(firms)

    def next_period(self, firms: Sequence[Row]) -> None:
        """Have the owner load its next records."""
        path = self._ground.stage.file("entries.csv")
        path.write_text(csv_of(firms, self._books), "utf-8")
        owner = self._ground.room(self._owner, APPROVERS[0])
        if owner.load_data(self._schema, {"entries": path}).snapshot is None:
            raise SafeRoomError(Reason.INTERNAL, "the made-up books have bad rows")

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Have a template proposed and approved, and ask by it; nothing if all is refused."""
        proposer = ASKERS[0] if plan.common else bank
        if (proposer, plan) not in self._templates:
            name = f"tables-{len(self._templates) + 1}"
            self._templates[proposer, plan] = proposed(
                self._ground, proposer, name, aggregate_of(plan)
            )
        template, room = self._templates[proposer, plan], self._ground.room(bank)
        self._count += 1
        self._told(self._count)
        try:
            answer = verdict_of(partial(room.tabulate, template, purpose=PURPOSE))
        except SafeRoomError as refused:
            reason_of(refused)
            return {}
        if plan.privacy is not None and answer.refused not in {None, self._refusal}:
            # Silence for another reason would hold any bound.
            raise SafeRoomError(Reason.INTERNAL, f"tables with noise: {answer.refused}")
        if (paid := answer.verified.release.privacy) is not None and answer.refused is None:
            group = group_of(bank)
            self._charged[group] = self._charged.get(group, Decimal(0)) + paid.charged
        by_name = {str(book.ref): book for book in self._books}
        return dict(
            pair for table in answer.verified.tables or () for pair in _read(table, by_name).items()
        )


def proposed(ground: Ground, bank: str, name: str, asked: Aggregate) -> str:
    """Have a bank propose tables and their owners approve them; gives the template's digest."""
    room = ground.room(bank)
    template = Template(
        room=ground.stage.cast.origin,
        kind="Aggregate",
        name=name,
        title=Title(en=name, zh=name),
        proposer=bank,
        signer=b64(room.profile.signing_certificate),
        purposes=(PURPOSE,),
        aggregate=asked,
    )
    digest = room.propose_template(template).recorded.statement.digest
    for owner in asked.asked_of:
        for approver in APPROVERS[:THRESHOLD]:
            desk = ground.room(owner, approver)
            desk.approve(desk.get_template(digest))
    return digest


def _read(told: Told, books: Mapping[str, Book]) -> dict[Cell, float]:
    """Read a table's numbers; what is withheld stands in no cell."""
    columns = [books[column] for column in told.columns]
    names = tuple(book.name for book in columns)
    classes = [classes_of(book.shape) for book in columns]
    return {
        (names, tuple(map(_place, classes, cell.classes))): float(cell.number)
        for cell in told.cells
        if cell.number is not None
    }


def _place(classes: Sequence[str], name: str) -> int:
    return classes.index(name)


class BlurredRoom:
    """Asks an open room for tables with noise.

    Args:
        ground: the room; the owner of the blurred firms is in it.
        told: is told how many tables were asked for.
        seed: of the firms.
    """

    def __init__(self, ground: Ground, told: Callable[[int], None], seed: int) -> None:
        self._room: Final = TableRoom(ground, told, BLURRED)
        self.firms: Final[Sequence[Row]] = blurred_rows(seed)
        self._room.build(self.firms)

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        return self._room.asked

    @property
    def charged(self) -> Mapping[str, Decimal]:
        """What each group was charged, by what the enclave signed."""
        return self._room.charged

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Ask; nothing if it is refused."""
        return self._room.tell(bank, plan)

    def width(self, plan: Plan) -> float:
        """Tell the scale of the noise, which everybody knows by the plan."""
        return width_of(plan)
