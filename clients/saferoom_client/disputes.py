"""Disputes: a subject says that a use, or something held about it, is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from saferoom_client.pages import all_pages
from saferoom_client.session import Session
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Dispute, load
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.subject_verification import verify_by_subject
from saferoom_proto.v1 import subject_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_from_proto


@dataclass(frozen=True, slots=True)
class OpenedDispute:
    """A dispute as it stands in the log.

    Attributes:
        dispute: what the subject says.
        digest: names it.
        index: its entry of the log.
    """

    dispute: Dispute
    digest: str
    index: int


async def open_dispute(
    session: Session, owner: str, words: str, *, use: str | None = None, field: str | None = None
) -> Recorded:
    """Dispute a use (by the digest of its release or refusal) or a held field (`table.column`).

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if the use is not the subject's own, at this owner.
    """
    profile = session.profile
    statement = session.sign(
        Dispute(
            room=profile.card.origin,
            owner=owner,
            subject=profile.member.organisation,
            certificate=b64(profile.signing_certificate),
            use=use,
            field=field,
            words=words,
            nonce=fresh_nonce(),
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = subject_pb2.OpenDisputeRequest(dispute=envelope_to_proto(statement))
    told = await session.call(session.subjects.OpenDispute, ask)
    return session.recorded(statement, told.recorded)


async def list_disputes(session: Session) -> tuple[OpenedDispute, ...]:
    """List disputes: a subject its own, an owner those made to it; each verified.

    Raises:
        SafeRoomError: the room lists what no subject signed, what is not in the log, or somebody
            else's.
    """

    async def page(before: int) -> tuple[list[OpenedDispute], int]:
        ask = subject_pb2.ListDisputesRequest(before=before)
        told = await session.call(session.subjects.ListDisputes, ask)
        listed = [await _opened(session, recorded_from_proto(each)) for each in told.disputes]
        return listed, told.next

    return await all_pages(page)


async def _opened(session: Session, recorded: Recorded) -> OpenedDispute:
    _, index = session.grounds.require_recorded(recorded)
    said = load(recorded.statement, Dispute)
    charter = await session.grounds.charter(said.owner)
    dispute, _ = verify_by_subject(recorded.statement, Dispute, charter, said.at)
    if session.profile.member.organisation not in (dispute.subject, dispute.owner):
        raise SafeRoomError(Reason.BAD_PROOF, "the room lists a dispute of others")
    return OpenedDispute(dispute, recorded.statement.digest, index)
