"""Which columns a subject disputes, by statements that the room hands over with a request.

The enclave does not follow disputes. It verifies each that it is shown: the subject's by its own
certified key, the owner's answers by an approver of the charter that each names: one that settled a
dispute has settled it, though its approver left since. What does not verify is left out, so nobody
can make up a mark; a room that keeps one back is not noticed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.reports.told import Mark, MarkedColumn
from saferoom_proto.statements import (
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Finding,
    load,
)
from saferoom_proto.subject_verification import verify_by_subject
from saferoom_proto.verification import PinnedCharter, verify_by_named_approver

_Spoken = Dispute | DisputeWithdrawal | DisputeAnswer
Marks = Mapping[str, tuple[MarkedColumn, ...]]
"""Of one subject, by table: what stands of its columns, one for each column."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of subjects' disputes with this owner, and by whom it may be.

    Attributes:
        subject: whose disputes; none for everybody's.
        statements: as the room hands them over.
        charter: in force.
        charters: the owner's, by their digests: those that were in force too.
        revoked: certificates, by their fingerprints, and since when.
        now: the present instant: nothing that is dated later counts.
    """

    subject: str | None
    statements: tuple[Envelope, ...]
    charter: PinnedCharter
    charters: Mapping[str, PinnedCharter]
    revoked: Mapping[str, datetime]
    now: datetime

    def marks(self) -> Mapping[str, Marks]:
        """Verify all of it, and tell by subject what stands of each column."""
        said: dict[str, list[tuple[str, _Spoken]]] = {}
        for statement in self.statements:
            if (spoken := self._verified(statement)) is not None:
                said.setdefault(spoken.subject, []).append((statement.digest, spoken))
        return {subject: _of_subject(spoken) for subject, spoken in said.items()}

    def _verified(self, statement: Envelope) -> _Spoken | None:
        """Open what was said by whom it may be, about whom it is, by now; none for all else."""
        try:
            said = self._opened(statement)
        except SafeRoomError:
            return None
        return (
            said if said.subject == (self.subject or said.subject) and said.at <= self.now else None
        )

    def _opened(self, statement: Envelope) -> _Spoken:
        if statement.payload_type == DisputeAnswer.payload_type():
            charter = self.charters.get(load(statement, DisputeAnswer).charter)
            if charter is None:
                raise SafeRoomError(Reason.BAD_CHARTER, "an answer under no charter of the owner")
            return verify_by_named_approver(statement, charter, DisputeAnswer)
        if statement.payload_type == DisputeWithdrawal.payload_type():
            withdrawal = load(statement, DisputeWithdrawal)
            at = withdrawal.at
            _, signer = verify_by_subject(statement, DisputeWithdrawal, self.charter, at)
            self._require_standing(signer.fingerprint, at)
            return withdrawal
        dispute = load(statement, Dispute)
        _, signer = verify_by_subject(statement, Dispute, self.charter, dispute.at)
        self._require_standing(signer.fingerprint, dispute.at)
        return dispute

    def _require_standing(self, fingerprint: str, at: datetime) -> None:
        revoked = self.revoked.get(fingerprint)
        if revoked is not None and revoked <= at:
            raise SafeRoomError(Reason.CERTIFICATE_REVOKED, "the subject's")


def _of_subject(said: Iterable[tuple[str, _Spoken]]) -> Marks:
    """Tell what stands of each column by what one subject and the owner said, with its digest."""
    disputes: dict[str, Dispute] = {}
    withdrawn: set[str] = set()
    answers: list[DisputeAnswer] = []
    for digest, each in said:
        if isinstance(each, Dispute):
            disputes[digest] = each
        elif isinstance(each, DisputeWithdrawal):
            withdrawn.add(each.dispute)
        else:
            answers.append(each)
    newest = {each.dispute: each for each in sorted(answers, key=lambda one: one.at)}
    return _by_table(
        (dispute, newest.get(digest))
        for digest, dispute in disputes.items()
        if digest not in withdrawn
    )


def _by_table(disputes: Iterable[tuple[Dispute, DisputeAnswer | None]]) -> Marks:
    """Give one mark for each column: an open dispute goes before one that was settled."""
    found: dict[str, dict[str, MarkedColumn]] = {}
    for dispute, answer in sorted(disputes, key=lambda each: each[0].at, reverse=True):
        table, _, column = (dispute.field or "").partition(".")
        mark = _mark(column, dispute, answer)
        if mark is None:
            continue
        known = found.setdefault(table, {}).get(column)
        # The newest comes first; of open ones the oldest says since when.
        if known is None or mark.mark is Mark.DISPUTED:
            found[table][column] = mark
    return {
        table: tuple(columns[name] for name in sorted(columns)) for table, columns in found.items()
    }


def _mark(column: str, dispute: Dispute, answer: DisputeAnswer | None) -> MarkedColumn | None:
    finding = None if answer is None else answer.finding
    if not column or finding is Finding.STANDS:
        return None  # a dispute of a use; or its owner finds the column right as it is
    if answer is not None and finding is Finding.CORRECTED:
        return MarkedColumn(
            column=column, mark=Mark.CORRECTED, since=dispute.at, epoch=answer.epoch
        )
    return MarkedColumn(column=column, mark=Mark.DISPUTED, since=dispute.at)
