"""What an approver's client looks at before it signs a report or a list: its own schema."""

from __future__ import annotations

from collections.abc import Sequence

from saferoom_client.owners import get_schema
from saferoom_client.session import Session
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Schema
from saferoom_proto.statements.report import PUBLIC_LEVEL


async def require_public(session: Session, part: OwnerPart) -> None:
    """Refuse to approve a report or a list of columns that the own schema does not call public.

    Raises:
        SafeRoomError: `NOT_ALLOWED` naming them. Their enclave would tell them to nobody.
    """
    if part.report is None and part.listing is None:
        return
    known = await get_schema(session)
    if known is None:
        raise SafeRoomError(Reason.NO_DATA, "you have no schema yet: a report names its columns")
    asked = told_columns(part, known[0])
    levels = {(t.name, column.name): column.level for t in known[0].tables for column in t.columns}
    faults = [
        FieldFault(".".join(each), _fault(levels.get(each)))
        for each in asked
        if levels.get(each) != PUBLIC_LEVEL
    ]
    if faults:
        raise SafeRoomError(
            Reason.NOT_ALLOWED, "reports and lists tell what is public by law", faults
        )


def told_columns(part: OwnerPart, schema: Schema) -> Sequence[tuple[str, str]]:
    """Give the columns that a report tells, or that a list rests on, each with its table."""
    if part.listing is not None:
        return part.listing.read_under(schema)
    tables = () if part.report is None else part.report.tables
    return [(each.table, column) for each in tables for column in each.columns]


def _fault(level: int | None) -> str:
    return "not in your schema" if level is None else f"of level {level} by your schema"
