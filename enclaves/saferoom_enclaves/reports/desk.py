"""A request for a report or a list, from its envelope to the enclave's word, step by step.

identify, admit            (begin)     a refusal is a verdict: signed, an entry of the chain
read the public columns    (beside the work, in a child: any thread waits for it)
admit again                (finish)    what allowed it must still hold
release, or refuse                     one commit
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.admit import Asked, AskedList, Rules, identify_public
from saferoom_enclaves.children.jobs import About, Pick, Picked
from saferoom_enclaves.data import Data
from saferoom_enclaves.gate import Gate, Moment
from saferoom_enclaves.indexing import Opened
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.judge import PASSING
from saferoom_enclaves.logs import Log, places
from saferoom_enclaves.making import made_or_none
from saferoom_enclaves.reports.admit import AdmittedReport, admit_report
from saferoom_enclaves.reports.approved import PublicTable
from saferoom_enclaves.reports.disputed import Marks, Said
from saferoom_enclaves.reports.gate import Read, ReportGate, SealedReport, read_report
from saferoom_enclaves.reports.listing import MOST_ROWS, described, laid_out, read_page
from saferoom_enclaves.reports.times import TimesReported
from saferoom_enclaves.requests import Requests, Seen
from saferoom_enclaves.state import State
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.told import ReportedTable
from saferoom_proto.statements import Listing, Title


@dataclass(frozen=True, slots=True)
class _OverStore:
    """Has a child read a snapshot that is held open for it."""

    opened: Opened
    said: Said
    work: StoreWork

    def read(self, admitted: AdmittedReport) -> Read:
        """Read the admitted columns, and mark those that are disputed."""
        asked, told = admitted.asked, admitted.report.part
        if isinstance(asked, AskedList) and isinstance(told, Listing):
            page = read_page(told, admitted.tables, asked.request, self._picked)
            read = laid_out(told, admitted.tables, page, self.said.marks())
        elif isinstance(asked, Asked):
            read = self._about(asked.request.subject, admitted.tables)
        else:
            raise SafeRoomError(Reason.INTERNAL, "a list was admitted as a report, or the reverse")
        return Read(self.opened.state, self.opened.schema, read)

    def _picked(self, order: Pick) -> Picked:
        return self.work.pick(self.opened.memory, order)

    def _about(self, subject: str, public: tuple[PublicTable, ...]) -> tuple[ReportedTable, ...]:
        wanted = [table.wanted for table in public]
        order = About(subject=subject, tables=tuple(wanted), features=(), most_rows=MOST_ROWS)
        found = self.work.about(self.opened.memory, order)
        marks = self.said.marks().get(subject, {})
        return tuple(
            _told(table, [each.name for each in want.table.columns], rows.rows, marks)
            for table, want, rows in zip(public, wanted, found.tables, strict=True)
        )


@dataclass(frozen=True, slots=True)
class BegunReport:
    """A report or a list that may be read: in any thread, and nobody waits for it."""

    envelope: Envelope
    admitted: AdmittedReport
    over: _OverStore
    log: Log

    def read(self) -> SealedReport | None:
        """Read it, once; none whatever failed, for that may depend on records.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is nobody to read it.
        """
        request = self.admitted.asked.request_id
        return made_or_none(lambda: read_report(self.admitted, self.over), request, self.log)

    def close(self) -> None:
        """Let the store go: whoever began it does, whatever becomes of it."""
        self.over.opened.close()


class ReportDesk:
    """Answers requests for reports and lists.

    Args:
        state: the enclave's database, opened.
        rules: what requests are held to.
        requests: which were asked before.
        journal: the enclave's chain.
        data: the store.
        work: has children read.
        gate: where refusals leave, as a check's do.
        reports: where reports leave.
        times: how often each was told.
        ready: under what it speaks now; refuses while it may not.
        log: the operator's.
    """

    def __init__(
        self,
        *,
        state: State,
        rules: Rules,
        requests: Requests,
        journal: Journal,
        data: Data,
        work: StoreWork,
        gate: Gate,
        reports: ReportGate,
        times: TimesReported,
        ready: Callable[[], Moment],
        log: Log,
    ) -> None:
        self._state: Final = state
        self._rules: Final = rules
        self._requests: Final = requests
        self._journal: Final = journal
        self._data: Final = data
        self._work: Final = work
        self._gate: Final = gate
        self._reports: Final = reports
        self._times: Final = times
        self._ready: Final = ready
        self._log: Final = log

    def expect(self, envelope: Envelope) -> Judged | Asked | AskedList:
        """Tell who asks, before it waits for its turn; a repeat gets the same bytes.

        Raises:
            SafeRoomError: as `identify`; `LOCKED`, `STALE_HEAD`, `OUTBOX_WAITING`.
        """
        asked = identify_public(envelope, self._rules.standing, self._ready().now)
        seen = self._seen(asked)
        return asked if seen.answered is None else self._journal.read(seen.answered)

    def begin(self, envelope: Envelope, said: tuple[Envelope, ...]) -> Judged | BegunReport:
        """Let a report be read, or refuse it; whoever gets it closes it.

        Args:
            envelope: the request.
            said: what is said of disputes with this owner: of a report's subject, or of anybody.

        Raises:
            SafeRoomError: as `expect`; `NO_DATA` while there is nothing to read it from.
        """
        asked = self.expect(envelope)
        if isinstance(asked, Judged):
            return asked
        moment = self._ready()
        with self._state.transaction():
            admitted = self._admitted(asked, self._seen(asked), moment)
            if isinstance(admitted, Judged):
                return admitted
        standing = self._rules.standing
        disputes = Said(
            subject=asked.request.subject if isinstance(asked, Asked) else None,
            statements=said,
            charter=standing.charter,
            charters=dict(standing.charters),
            revoked=dict(standing.revoked_certificates),
            now=moment.now,
        )
        over = _OverStore(self._data.opened().held(), disputes, self._work)
        return BegunReport(envelope, admitted, over, self._log)

    def finish(self, begun: BegunReport, sealed: SealedReport | None) -> Judged:
        """Let out what was read, if all that allowed it at the beginning still holds.

        Raises:
            SafeRoomError: as `begin`; `UNAVAILABLE` if the store was changed meanwhile.
        """
        asked = self.expect(begun.envelope)
        if isinstance(asked, Judged):
            return asked
        moment = self._ready()
        with self._state.transaction():
            seen = self._seen(asked)
            admitted = self._admitted(asked, seen, moment)
            if isinstance(admitted, Judged):
                return admitted
            if begun.over.opened.state != moment.grounds.store:
                raise SafeRoomError(Reason.UNAVAILABLE, "the store was changed meanwhile")
            return self._remembered(asked, seen, self._released(admitted, sealed, moment))

    def _released(
        self, admitted: AdmittedReport, sealed: SealedReport | None, moment: Moment
    ) -> Judged:
        changes = self._state.changes
        title = self._title()
        try:
            if sealed is not None:
                told = self._reports.release(admitted, sealed, title, moment).judged
                self._times.count(admitted.asked.request, self._data.opened().state.digest)
                return told
        except Exception as error:
            if self._state.changes != changes:
                raise
            # How much there is depends on records, and says the same as whatever else fails.
            request = admitted.asked.request_id
            self._log.error("withheld", request=request, places=places(error))
        return self._reports.refuse(admitted, Reason.WITHHELD, moment).judged

    def _title(self) -> Title:
        return self._rules.standing.charter.charter.title

    def _seen(self, asked: Asked | AskedList) -> Seen:
        return self._requests.look_up(asked.request, asked.request_id)

    def _admitted(
        self, asked: Asked | AskedList, seen: Seen, moment: Moment
    ) -> AdmittedReport | Judged:
        """Admit, or record the refusal."""
        try:
            opened = self._data.opened()
            self._times.require(asked.request, opened.state.digest)
            return admit_report(asked, seen, self._rules, opened.schema, moment.now)
        except SafeRoomError as refusal:
            if refusal.reason in PASSING:
                raise
            self._log.refused(asked.request_id, asked.request.institution, refusal)
            judged = self._gate.refuse(asked, refusal.reason, moment).judged
            return self._remembered(asked, seen, judged)

    def _remembered(self, asked: Asked | AskedList, seen: Seen, judged: Judged) -> Judged:
        index = judged.entry.chain_index
        self._requests.remember(asked.request, asked.request_id, seen, index)
        return judged


def _told(
    public: PublicTable,
    names: list[str],
    rows: tuple[tuple[str | None, ...], ...],
    marks: Marks,
) -> ReportedTable:
    """Lay out a table: each row once, and none that says nothing."""
    at = [names.index(column.name) for column in public.columns]
    told = dict.fromkeys(tuple(row[each] for each in at) for row in rows)
    columns = described(public.columns)
    shown = {each.name for each in columns}
    return ReportedTable(
        name=public.table.name,
        title=public.table.title,
        columns=columns,
        rows=tuple(row for row in told if any(value is not None for value in row)),
        marks=tuple(each for each in marks.get(public.table.name, ()) if each.column in shown),
    )
