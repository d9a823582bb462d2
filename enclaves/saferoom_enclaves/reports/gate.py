"""A report is read under seal, and let out in one way only: sealed to the asker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Final, Protocol, final

from saferoom_enclaves.evidence import Evidence, Hidden, Right
from saferoom_enclaves.gate import Moment, answer_word
from saferoom_enclaves.journal import Journal, Judged
from saferoom_enclaves.reports.admit import AdmittedReport
from saferoom_proto.answer import SALT_BYTES
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason
from saferoom_proto.reports.told import REPORT_SEAL, OwnerReport, ReportedTable, commitment
from saferoom_proto.statements import Outcome, StoreState, Title
from saferoom_proto.suite import suite_of


@dataclass(frozen=True, slots=True, repr=False)
class Read:
    """What was read about a subject, in the clear, and of which records. It shows no text form."""

    store: StoreState
    schema: str
    tables: tuple[ReportedTable, ...]


class Reading(Protocol):
    """Reads what a report tells."""

    def read(self, admitted: AdmittedReport) -> Read:
        """Read the admitted columns about the subject, and about nobody else."""
        ...


class _Execution(Right):
    __slots__ = ()


class _Releasing(Right):
    __slots__ = ()


_REPORT_EXECUTED: Final = _Execution()
_REPORT_RELEASED: Final = _Releasing()


@final
class SealedReport(Hidden):
    """What was read about a subject. It cannot be shown, compared, tested, kept or copied."""

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
    """The enclave's word on a request for a report, in its chain, and its sealed part if any."""

    right: InitVar[_Releasing]
    judged: Judged

    def __post_init__(self, right: _Releasing) -> None:
        _REPORT_RELEASED.require(right)


def read_report(admitted: AdmittedReport, reading: Reading) -> SealedReport:
    """Read what an admitted report tells, in any thread."""
    return SealedReport(_REPORT_EXECUTED, reading.read(admitted))


class ReportGate:
    """Lets reports out, each as the next entry of the enclave's chain.

    Args:
        journal: the enclave's chain. All is done within its state's transactions.
        randomness: gives so many random bytes.
    """

    def __init__(self, journal: Journal, randomness: Callable[[int], bytes]) -> None:
        self._journal: Final = journal
        self._randomness: Final = randomness

    def release(
        self, admitted: AdmittedReport, sealed: SealedReport, title: Title, moment: Moment
    ) -> ReleasedReport:
        """Seal a part of a report to its asker, and sign what may be known of it.

        Raises:
            SafeRoomError: `TOO_LARGE` if there is more than can be sent.
        """
        asked, grounds, read = admitted.asked, moment.grounds, sealed.open(_REPORT_RELEASED)
        plaintext = OwnerReport(
            room=grounds.room,
            owner=grounds.owner,
            title=title,
            subject=asked.request.subject,
            request=asked.request_id,
            template=asked.request.template,
            store=read.store,
            schema_digest=read.schema,
            tables=read.tables,
            at=moment.now,
            salt=b64(self._randomness(SALT_BYTES)),
        ).to_bytes()
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
        to_asker = REPORT_SEAL.seal(plaintext, asked.reply_key, asked.request_id, grounds.owner)
        judged = self._journal.append(payload, moment.now, sealed=to_asker)
        return ReleasedReport(_REPORT_RELEASED, judged)

    def refuse(self, admitted: AdmittedReport, reason: Reason, moment: Moment) -> ReleasedReport:
        """Sign that an admitted report is not told after all."""
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
