"""A report, or a page of a list, is read under seal and let out in one way: to its asker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Final, Protocol, final

from saferoom_enclaves.admit import Asked, AskedList
from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.gate import Moment, answer_word
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.reports.admit import AdmittedReport
from saferoom_enclaves.reports.listing import ReadPage
from saferoom_enclaves.reports.shown import ShownLists
from saferoom_proto.answer import SALT_BYTES
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.listed import LIST_SEAL, OwnerList
from saferoom_proto.reports.told import REPORT_SEAL, OwnerReport, ReportedTable, commitment
from saferoom_proto.statements import Outcome, StoreState, Title
from saferoom_proto.suite import suite_of


@dataclass(frozen=True, slots=True, repr=False)
class Read:
    """What was read, in the clear, and of which records. It shows no text form.

    Attributes:
        store: which.
        schema: digest of theirs.
        told: about a subject, table by table; or a page of a list.
    """

    store: StoreState
    schema: str
    told: tuple[ReportedTable, ...] | ReadPage


class Reading(Protocol):
    """Reads what a report or a list tells."""

    def read(self, admitted: AdmittedReport) -> Read:
        """Read the admitted columns, about whom is asked for and about nobody else."""
        ...


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_REPORT_EXECUTED: Final = _Execution()
_REPORT_RELEASED: Final = _Releasing()


@final
class SealedReport(Hidden):
    """What was read about subjects. It cannot be shown, compared, tested, kept or copied."""

    __slots__ = ("_read",)

    def __init__(self, right: _Execution, read: Read) -> None:
        _REPORT_EXECUTED.require(right)
        self._read: Final = read

    def open(self, right: _Releasing) -> Read:
        """Give what was read to the gate, and to nobody else."""
        _REPORT_RELEASED.require(right)
        return self._read


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedReport(Evidence):
    """The enclave's word on such a request, in its chain, and what is sealed, if anything."""

    right: InitVar[_Releasing]
    judged: Judged

    def __post_init__(self, right: _Releasing) -> None:
        _REPORT_RELEASED.require(right)


def read_report(admitted: AdmittedReport, reading: Reading) -> SealedReport:
    """Read what an admitted report or list tells, in any thread."""
    return SealedReport(_REPORT_EXECUTED, reading.read(admitted))


class ReportGate:
    """Lets reports and lists out, each as the next entry of the enclave's chain.

    Args:
        journal: the enclave's chain. All is done within its state's transactions.
        shown: keeps whom lists showed.
        randomness: gives so many random bytes.
    """

    def __init__(
        self, journal: Journal, shown: ShownLists, randomness: Callable[[int], bytes]
    ) -> None:
        self._journal: Final = journal
        self._shown: Final = shown
        self._randomness: Final = randomness

    def release(
        self, admitted: AdmittedReport, sealed: SealedReport, title: Title, moment: Moment
    ) -> ReleasedReport:
        """Seal what is told to its asker, and sign what may be known of it.

        Raises:
            SafeRoomError: `TOO_LARGE` if there is more than can be sent.
        """
        asked, grounds, read = admitted.asked, moment.grounds, sealed.open(_REPORT_RELEASED)
        plaintext = self._plaintext(asked, read, title, moment)
        payload = answer_word(
            asked,
            moment,
            self._journal.link,
            outcome=Outcome.ANSWERED,
            reason=None,
            approvals=admitted.report.approvals,
            consent=None,
            charges=(),
            answer=commitment(plaintext, suite_of(asked.request_id)),
        )
        seal = LIST_SEAL if isinstance(asked, AskedList) else REPORT_SEAL
        to_asker = seal.seal(plaintext, asked.reply_key, asked.request_id, grounds.owner)
        judged = self._journal.append(payload, moment.now, sealed=to_asker)
        if isinstance(asked, AskedList) and isinstance(read.told, ReadPage):
            subjects = (each.subject for each in read.told.listed)
            self._shown.keep(asked.envelope, judged.entry.chain_index, subjects)
        return ReleasedReport(_REPORT_RELEASED, judged)

    def _plaintext(
        self, asked: Asked | AskedList, read: Read, title: Title, moment: Moment
    ) -> bytes:
        """Write what is told: a part of a report, or a page of a list."""
        if isinstance(asked, AskedList):
            return self._page(asked, read, title, moment).to_bytes()
        if isinstance(read.told, ReadPage):
            raise _of_another_kind()
        return OwnerReport(
            room=moment.grounds.room,
            owner=moment.grounds.owner,
            title=title,
            subject=asked.request.subject,
            request=asked.request_id,
            template=asked.request.template,
            store=read.store,
            schema_digest=read.schema,
            tables=read.told,
            at=moment.now,
            salt=b64(self._randomness(SALT_BYTES)),
        ).to_bytes()

    def _page(self, asked: AskedList, read: Read, title: Title, moment: Moment) -> OwnerList:
        page = read.told
        if not isinstance(page, ReadPage):
            raise _of_another_kind()
        return OwnerList(
            room=moment.grounds.room,
            owner=moment.grounds.owner,
            title=title,
            request=asked.request_id,
            template=asked.request.template,
            code=asked.request.code,
            page=asked.request.page,
            firms=page.firms,
            more=page.more,
            store=read.store,
            schema_digest=read.schema,
            table=page.table.name,
            table_title=page.table.title,
            columns=page.columns,
            listed=page.listed,
            at=moment.now,
            salt=b64(self._randomness(SALT_BYTES)),
        )

    def refuse(self, admitted: AdmittedReport, reason: Reason, moment: Moment) -> ReleasedReport:
        """Sign that an admitted report or list is not told after all."""
        payload = answer_word(
            admitted.asked,
            moment,
            self._journal.link,
            outcome=Outcome.REFUSED,
            reason=reason,
            approvals=(),
            consent=None,
            charges=(),
            answer=None,
        )
        return ReleasedReport(_REPORT_RELEASED, self._journal.append(payload, moment.now))


def _of_another_kind() -> SafeRoomError:
    return SafeRoomError(Reason.INTERNAL, "what was read is of another kind than was asked for")
