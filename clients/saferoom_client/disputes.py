"""Disputes: a subject says that a use, or something held about it, is wrong; its owner answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from saferoom_client.pages import all_pages
from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Dispute,
    DisputeAnswer,
    DisputeWithdrawal,
    Finding,
    load,
)
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.subject_verification import verify_by_subject
from saferoom_proto.v1 import subject_pb2
from saferoom_proto.verification import verify_by_named_approver
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_from_proto

_Said = Dispute | DisputeAnswer | DisputeWithdrawal


@dataclass(frozen=True, slots=True)
class OpenedDispute:
    """A dispute as it stands in the log, and what came of it.

    Attributes:
        dispute: what the subject says.
        digest: names it.
        index: its entry of the log.
        answers: its owner's, the newest last.
        withdrawal: the subject's, if it took the dispute back.
    """

    dispute: Dispute
    digest: str
    index: int
    answers: tuple[DisputeAnswer, ...] = ()
    withdrawal: DisputeWithdrawal | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for its owner, or for whom that passed it on to."""
        settled = bool(self.answers) and self.answers[-1].finding is not Finding.PASSED_ON
        return self.withdrawal is None and not settled

    def is_overdue(self, now: datetime) -> bool:
        """Whether its owner should have settled it by now."""
        return self.is_open and now > self.dispute.due


@dataclass(frozen=True, slots=True)
class _Placed:
    """Something that was said of a dispute, verified, with its entry of the log."""

    said: _Said
    digest: str
    index: int


async def open_dispute(
    session: Session,
    owner: str,
    words: str,
    *,
    use: str | None = None,
    row: int | None = None,
    field: str | None = None,
) -> Recorded:
    """Dispute a use (by the digest of its release or refusal) or a held field (`table.column`).

    Args:
        session: the subject's.
        owner: to whom it goes.
        words: what is wrong.
        use: what is disputed.
        row: where the use is a batch: the row about the subject, from 0.
        field: what is disputed.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if the use is not the subject's own, at this owner, or
            the batch has no such row.
    """
    profile = _subjects_own(session)
    statement = session.sign(
        Dispute(
            room=profile.card.origin,
            owner=owner,
            subject=profile.member.organisation,
            certificate=b64(profile.signing_certificate),
            use=use,
            row=row,
            field=field,
            words=words,
            nonce=fresh_nonce(),
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = subject_pb2.OpenDisputeRequest(dispute=envelope_to_proto(statement))
    told = await session.call(session.subjects.OpenDispute, ask)
    return session.recorded(statement, told.recorded)


async def answer_dispute(
    session: Session, dispute: str, finding: Finding, words: str, *, epoch: int | None = None
) -> Recorded:
    """Tell a subject what came of its dispute (by its digest), as an approver of its owner.

    Args:
        session: the approver's.
        dispute: what is answered.
        finding: `passed-on` leaves it open until another answer settles it.
        words: for the subject.
        epoch: the snapshot period from which on a correction is answered from.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if the dispute is another owner's, or there is no such
            period; `CONFLICT` if the subject took it back, or it would be passed on after all.
    """
    said = load(await session.grounds.statement(dispute), Dispute)
    charter = await session.grounds.charter(session.owner)
    statement = session.sign(
        DisputeAnswer(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=session.profile.member.name,
            charter=charter.digest,
            subject=said.subject,
            dispute=dispute,
            finding=finding,
            epoch=epoch,
            words=words,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = subject_pb2.AnswerDisputeRequest(answer=envelope_to_proto(statement))
    told = await session.call(session.subjects.AnswerDispute, ask)
    return session.recorded(statement, told.recorded)


async def withdraw_dispute(session: Session, dispute: str) -> Recorded:
    """Take the subject's own dispute back, by its digest.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if it is another's; `CONFLICT` if it was settled.
    """
    profile = _subjects_own(session)
    said = load(await session.grounds.statement(dispute), Dispute)
    statement = session.sign(
        DisputeWithdrawal(
            room=profile.card.origin,
            owner=said.owner,
            subject=profile.member.organisation,
            certificate=b64(profile.signing_certificate),
            dispute=dispute,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = subject_pb2.WithdrawDisputeRequest(withdrawal=envelope_to_proto(statement))
    told = await session.call(session.subjects.WithdrawDispute, ask)
    return session.recorded(statement, told.recorded)


async def list_disputes(session: Session) -> tuple[OpenedDispute, ...]:
    """List disputes: a subject its own, an owner those made to it; each verified.

    Raises:
        SafeRoomError: the room lists what no subject or approver signed, what is not in the log,
            or what was said of somebody else's.
    """

    async def page(before: int) -> tuple[list[_Placed], int]:
        ask = subject_pb2.ListDisputesRequest(before=before)
        told = await session.call(session.subjects.ListDisputes, ask)
        listed = [await _opened(session, recorded_from_proto(each)) for each in told.disputes]
        return listed, told.next

    return _together(await all_pages(page))


def _subjects_own(session: Session) -> Profile:
    """Give the subject's folder, or refuse with `NOT_ALLOWED` whoever is none."""
    if not session.profile.member.is_subject:
        raise SafeRoomError(Reason.NOT_ALLOWED, "only a subject disputes, and only for itself")
    return session.profile


def _together(placed: tuple[_Placed, ...]) -> tuple[OpenedDispute, ...]:
    """Put what was said of each dispute with it; all stands in the order of the log."""
    found: dict[str, OpenedDispute] = {}
    for each in placed:
        said = each.said
        if isinstance(said, Dispute):
            found[each.digest] = OpenedDispute(said, each.digest, each.index)
            continue
        of = found.get(said.dispute)
        if of is None or (of.dispute.owner, of.dispute.subject) != (said.owner, said.subject):
            raise SafeRoomError(Reason.BAD_PROOF, "what ends a dispute that the room does not list")
        if isinstance(said, DisputeAnswer):
            of = replace(of, answers=(*of.answers, said))
        else:
            of = replace(of, withdrawal=said)
        found[said.dispute] = of
    return tuple(found.values())


async def _opened(session: Session, recorded: Recorded) -> _Placed:
    _, index = session.grounds.require_recorded(recorded)
    said = await _verified(session, recorded.statement)
    if session.profile.member.organisation not in (said.subject, said.owner):
        raise SafeRoomError(Reason.BAD_PROOF, "the room lists a dispute of others")
    return _Placed(said, recorded.statement.digest, index)


async def _verified(session: Session, statement: Envelope) -> _Said:
    """Open what was said of a dispute, under its owner's charter."""
    grounds = session.grounds
    if statement.payload_type == DisputeAnswer.payload_type():
        answer = load(statement, DisputeAnswer)
        charter = await grounds.charter(answer.owner, answer.charter)
        return verify_by_named_approver(statement, charter, DisputeAnswer)
    if statement.payload_type == DisputeWithdrawal.payload_type():
        withdrawal = load(statement, DisputeWithdrawal)
        charter = await grounds.charter(withdrawal.owner)
        return verify_by_subject(statement, DisputeWithdrawal, charter, withdrawal.at)[0]
    dispute = load(statement, Dispute)
    charter = await grounds.charter(dispute.owner)
    return verify_by_subject(statement, Dispute, charter, dispute.at)[0]
