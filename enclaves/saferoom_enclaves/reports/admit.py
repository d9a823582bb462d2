"""Whether a report or a list may be told to who asks for it. Nothing here looks at a record."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Asked, AskedList, Rules, require_of_now
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_enclaves.reports.approved import (
    ApprovedReport,
    PublicTable,
    approved_report,
    public_tables,
)
from saferoom_enclaves.requests import Seen
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import CheckRequest, Listing, ListRequest


class _Admission(Right):
    __slots__ = ()


_REPORT_ADMITTED: Final = _Admission()


@final
@dataclass(frozen=True, slots=True, eq=False)
class AdmittedReport(Evidence):
    """A request for a report or a list that owner and agreement allow: of public columns only."""

    right: InitVar[_Admission]
    asked: Asked | AskedList
    report: ApprovedReport
    tables: tuple[PublicTable, ...]

    def __post_init__(self, right: _Admission) -> None:
        _REPORT_ADMITTED.require(right)


def admit_report(
    asked: Asked | AskedList, seen: Seen, rules: Rules, schema: str, now: datetime
) -> AdmittedReport:
    """Hold a request for a report or a list to all that was said about such, cheapest first.

    Args:
        asked: the request, whose it is.
        seen: what is remembered of it.
        rules: what it is held to.
        schema: digest of the schema of the records in use.
        now: the present instant.

    Raises:
        SafeRoomError: the reason is the verdict that is recorded; but for `NO_DATA`.
    """
    request = asked.request
    seen.require_fresh_nonce()
    require_of_now(request, rules, now)
    report = approved_report(rules.standing, request.template, request.certificate)
    if isinstance(request, ListRequest) != isinstance(report.part, Listing):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a template of another kind")
    if isinstance(request, CheckRequest) and request.params:
        raise SafeRoomError(Reason.OFF_DOMAIN, "a report has no parameters")
    if isinstance(request, ListRequest) and isinstance(report.part, Listing):
        report.part.require_within(request.code, request.page)
    tables = public_tables(report.part, rules.standing, schema)
    return AdmittedReport(_REPORT_ADMITTED, asked, report, tables)
