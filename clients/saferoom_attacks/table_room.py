"""The room's books, as banks with valid certificates ask for tables of them through the SDK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from saferoom_attacks.ask import BANK, RIVALS
from saferoom_attacks.books import BOOKS, OWNER, SALES, Row, csv_of, schema
from saferoom_attacks.ground import Ground
from saferoom_attacks.patience import reason_of, verdict_of
from saferoom_attacks.table_ask import HIGHEST, Cell, Plan, Sheet
from saferoom_client.demo.stage import APPROVERS, THRESHOLD
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Aggregate,
    MeasureKind,
    Purpose,
    TableMeasure,
    Template,
    Title,
)
from saferoom_proto.statements.aggregate import TableRules
from saferoom_proto.tables.asked import classes_of
from saferoom_proto.tables.told import Told

ASKERS: Final = (BANK, *RIVALS[:3])
"""Banks that may ask for tables, each a group of its own."""
PURPOSE: Final = Purpose.PRODUCT_DESIGN
_CODES: Final = {
    str(book.ref): {name: code for code, name in enumerate(classes_of(book.shape))}
    for book in BOOKS
}
_NAMES: Final = {str(book.ref): book.name for book in BOOKS}


class TableRoom:
    """Asks an open room for tables.

    Args:
        ground: the room; the owner of the books is in it.
        told: is told how many tables were asked for.
    """

    def __init__(self, ground: Ground, told: Callable[[int], None]) -> None:
        self._ground: Final = ground
        self._told: Final = told
        self._templates: Final[dict[tuple[str, Plan], str]] = {}
        self._schema = ""
        self._count = 0

    @property
    def asked(self) -> int:
        """How many requests for tables there were."""
        return self._count

    def build(self, firms: Sequence[Row]) -> None:
        """Have the owner define its books, load them, and agree with banks."""
        owner, origin = self._ground.room(OWNER, APPROVERS[0]), self._ground.stage.cast.origin
        self._schema = owner.put_schema(schema(origin)).statement.digest
        for book in BOOKS:
            owner.put_feature(book.statement(origin))
        for bank in ASKERS:
            self._ground.agree(bank, (PURPOSE,), owner=OWNER)
        self.next_period(firms)

    def next_period(self, firms: Sequence[Row]) -> None:
        """Have the owner load its next records."""
        path = self._ground.stage.file("entries.csv")
        path.write_text(csv_of(firms), "utf-8")
        owner = self._ground.room(OWNER, APPROVERS[0])
        if owner.load_data(self._schema, {"entries": path}).snapshot is None:
            raise SafeRoomError(Reason.INTERNAL, "the made-up books have bad rows")

    def tell(self, bank: str, plan: Plan) -> Sheet:
        """Have a template proposed and approved, and ask by it; nothing if all is refused."""
        if (bank, plan) not in self._templates:
            self._templates[bank, plan] = self._approved(bank, plan)
        template, room = self._templates[bank, plan], self._ground.room(bank)
        self._count += 1
        self._told(self._count)
        try:
            answer = verdict_of(partial(room.tabulate, template, purpose=PURPOSE))
        except SafeRoomError as refused:
            reason_of(refused)
            return {}
        return dict(pair for table in answer.verified.tables or () for pair in _read(table).items())

    def _approved(self, bank: str, plan: Plan) -> str:
        room = self._ground.room(bank)
        name = f"tables-{len(self._templates) + 1}"
        template = Template(
            room=self._ground.stage.cast.origin,
            kind="Aggregate",
            name=name,
            title=Title(en=name, zh=name),
            proposer=bank,
            signer=b64(room.profile.signing_certificate),
            purposes=(PURPOSE,),
            aggregate=aggregate_of(plan),
        )
        digest = room.propose_template(template).recorded.statement.digest
        for approver in APPROVERS[:THRESHOLD]:
            desk = self._ground.room(OWNER, approver)
            desk.approve(desk.get_template(digest))
        return digest


def aggregate_of(plan: Plan) -> Aggregate:
    """Write a plan as a template has it."""
    measure = TableMeasure(kind=MeasureKind.COUNT)
    if plan.added:
        measure = TableMeasure(
            kind=MeasureKind.SUM, of=str(SALES.ref), low=Decimal(0), high=Decimal(HIGHEST)
        )
    return Aggregate(
        dimensions=tuple(str(book.ref) for book in plan.columns),
        measures=(measure,),
        ways=plan.ways,
        rules=TableRules(base=plan.base),
    )


def _read(told: Told) -> dict[Cell, float]:
    """Read a table's numbers; what is withheld stands in no cell."""
    names = tuple(_NAMES[column] for column in told.columns)
    found: dict[Cell, float] = {}
    for cell in told.cells:
        if cell.number is not None:
            pairs = zip(told.columns, cell.classes, strict=True)
            found[names, tuple(_CODES[column][name] for column, name in pairs)] = float(cell.number)
    return found
