"""What an approver's client looks at before it signs a report: the owner's own schema."""

from __future__ import annotations

from saferoom_client.owners import get_schema
from saferoom_client.session import Session
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.report import PUBLIC_LEVEL


async def require_public(session: Session, part: OwnerPart) -> None:
    """Refuse to approve a report of columns that the owner's own schema does not call public.

    Raises:
        SafeRoomError: `NOT_ALLOWED` naming them. Their enclave would tell them to nobody.
    """
    if part.report is None:
        return
    known = await get_schema(session)
    if known is None:
        raise SafeRoomError(Reason.NO_DATA, "you have no schema yet: a report names its columns")
    levels = {(t.name, column.name): column.level for t in known[0].tables for column in t.columns}
    asked = [(each.table, column) for each in part.report.tables for column in each.columns]
    faults = [
        FieldFault(".".join(each), _fault(levels.get(each)))
        for each in asked
        if levels.get(each) != PUBLIC_LEVEL
    ]
    if faults:
        raise SafeRoomError(Reason.NOT_ALLOWED, "a report tells what is public by law", faults)


def _fault(level: int | None) -> str:
    return "not in your schema" if level is None else f"of level {level} by your schema"
