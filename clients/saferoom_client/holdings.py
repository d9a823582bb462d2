"""What an owner holds about a subject, asked for and opened by that subject alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_client.heads import require_witnessed
from saferoom_client.own_rows import own_lists, own_rows
from saferoom_client.question import BACKDATED, VALID_FOR
from saferoom_client.session import Session
from saferoom_client.use import Use
from saferoom_proto import holdings
from saferoom_proto.encoding import b64
from saferoom_proto.holdings import Holdings, open_holdings
from saferoom_proto.hpke import SealingKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Disclosure, Feature, HoldingsRequest
from saferoom_proto.statements.base import fresh_nonce, whole_milliseconds
from saferoom_proto.v1 import subject_pb2
from saferoom_proto.wire import Recorded, envelope_to_proto, recorded_from_proto

DEADLINE_SECONDS: Final = 45.0
"""An enclave reads for 10 seconds at most; questions and loads may be before it."""


@dataclass(frozen=True, slots=True)
class OwnHoldings:
    """What one owner verifiably holds about the subject that asked.

    Attributes:
        holdings: its rows, its features' values, and who asked how much about them.
        features: the definitions of these features, by their full names.
        disclosure: the enclave's word, with its place in the log.
        index: its entry there.
        rows: its rows in batches, each verified, the newest batch first.
        lists: pages of lists that told of it, each verified, the newest first.
        unproven: in how many more batches and lists it is whose word the room does not prove.
    """

    holdings: Holdings
    features: dict[str, Feature]
    disclosure: Recorded
    index: int
    rows: tuple[Use, ...]
    lists: tuple[Use, ...]
    unproven: int


async def get_holdings(session: Session, owner: str) -> OwnHoldings:
    """Ask one owner for all that it holds about the subject, with a fresh reply key.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for who is no subject; what the room or the enclave refuses
            with; `BAD_PROOF`, `BAD_SEAL`, `BAD_ENDORSEMENT` if what came is not the endorsed
            enclave's recorded word on this very request.
    """
    # Step 1: the subject's own signed request, to this owner.
    if not session.profile.member.is_subject:
        raise SafeRoomError(Reason.NOT_ALLOWED, "only a subject is shown what is held about it")
    key = SealingKey.generate()
    asked = _request(session, owner, key)
    request = session.sign(asked)
    ask = subject_pb2.GetHoldingsRequest(request=envelope_to_proto(request))
    told = await session.call(session.subjects.GetHoldings, ask, DEADLINE_SECONDS)
    # Step 2: the enclave's word on it, and its place in the log.
    recorded = recorded_from_proto(told.disclosure)
    _, index = session.grounds.require_recorded(recorded)
    await require_witnessed(session)
    disclosure, charter = await session.grounds.word(recorded.statement, Disclosure)
    about = (disclosure.owner, disclosure.request, disclosure.subject)
    if about != (owner, request.digest, asked.subject):
        raise SafeRoomError(Reason.BAD_PROOF, "the disclosure is of another request")
    # Step 3: the seal, and what was shown under its commitment.
    plaintext = open_holdings(told.sealed, key, request.digest, owner)
    if holdings.commitment(plaintext, request.suite) != disclosure.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not what the disclosure commits to")
    held = Holdings.from_bytes(plaintext)
    said = (held.room, held.owner, held.subject, held.request, held.store, held.schema_digest)
    if said != (disclosure.room, *about[:1], asked.subject, request.digest, *_store(disclosure)):
        raise SafeRoomError(Reason.BAD_PROOF, "what was shown is about something else")
    # Step 4: how the owner defined what answers are made from.
    features = {
        each.feature: session.grounds.feature(await session.grounds.statement(each.digest), charter)
        for each in held.features
    }
    # Step 5: its rows in batches, and the lists that told of it, each under the enclave's recorded
    # word.
    rows, of_batches = await own_rows(session, held)
    lists, of_lists = await own_lists(session, held)
    return OwnHoldings(held, features, recorded, index, rows, lists, of_batches + of_lists)


def _request(session: Session, owner: str, key: SealingKey) -> HoldingsRequest:
    profile, now = session.profile, whole_milliseconds(session.clock())
    return HoldingsRequest(
        room=profile.card.origin,
        owner=owner,
        subject=profile.member.organisation,
        certificate=b64(profile.signing_certificate),
        nonce=fresh_nonce(),
        not_before=now - BACKDATED,
        not_after=now + VALID_FOR,
        reply_key=b64(key.public),
    )


def _store(disclosure: Disclosure) -> tuple[object, object]:
    return disclosure.store, disclosure.schema_digest
