"""Uses: what was asked about a subject, or of an owner's enclave, each verified before it is shown.

A subject cannot see who signed a question, since it is no side of the agreement. It need not: the
endorsed enclave says by its signature that it judged this very question of this institution.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from saferoom_client.session import Session
from saferoom_client.values import Use
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Disclosure, Refusal, Release, load
from saferoom_proto.v1 import use_pb2
from saferoom_proto.wire import Recorded, envelope_from_proto, recorded_from_proto

PAGE: Final = 200
"""Uses asked for at once: as many as the room gives."""


@dataclass(frozen=True, slots=True)
class UsesPage:
    """A page of uses, the newest first.

    Attributes:
        uses: those that verified.
        unpinned: how many are not shown, by owner: its charter root is not pinned here, so that
            nobody can tell whether they are its enclave's.
        next: what to give as `before` for the next page; none if this is the last.
    """

    uses: tuple[Use, ...]
    unpinned: dict[str, int]
    next: int | None


async def list_uses(session: Session, *, before: int | None = None, limit: int = PAGE) -> UsesPage:
    """List uses: a subject those about itself, an owner those of its own enclave.

    Args:
        session: of the subject, or of a member of the owner.
        before: an entry of the log: only those before it.
        limit: at most this many.

    Raises:
        SafeRoomError: `BAD_PROOF`, `BAD_SIGNATURE`, `BAD_ENDORSEMENT`: the room lists what is no
            recorded word on a question that concerns the caller.
    """
    ask = use_pb2.ListUsesRequest(before=before or 0, limit=limit)
    told = await session.call(session.uses.ListUses, ask)
    uses: list[Use] = []
    unpinned: dict[str, int] = {}
    last = before
    for message in told.uses:
        word = recorded_from_proto(message.word)
        request = envelope_from_proto(message.request) if message.HasField("request") else None
        _, index = session.grounds.require_recorded(word)
        if last is not None and index >= last:
            raise SafeRoomError(Reason.BAD_PROOF, "the room lists uses out of their order")
        last = index
        owner = _unpinned_owner(session, word.statement)
        if owner is None:
            uses.append(await _open(session, word, index, request))
        else:
            unpinned[owner] = unpinned.get(owner, 0) + 1
    if told.next and told.next != last:
        raise SafeRoomError(Reason.BAD_PROOF, "the room would leave out uses between two pages")
    return UsesPage(tuple(uses), unpinned, told.next or None)


async def all_uses(session: Session) -> AsyncIterator[UsesPage]:
    """List all uses, page by page, the newest first."""
    before: int | None = None
    while True:
        page = await list_uses(session, before=before)
        yield page
        if page.next is None:
            return
        before = page.next


def _unpinned_owner(session: Session, statement: Envelope) -> str | None:
    match statement.payload_type:
        case kind if kind == Release.payload_type():
            owner = load(statement, Release).owner
        case kind if kind == Disclosure.payload_type():
            owner = load(statement, Disclosure).owner
        case _:
            return None
    return None if owner in session.profile.trust.charter_roots else owner


async def _open(session: Session, word: Recorded, index: int, request: Envelope | None) -> Use:
    # Step 1: whose word it is, and on which question.
    statement = word.statement
    match statement.payload_type:
        case kind if kind == Release.payload_type():
            use = await _release(session, word, index)
        case kind if kind == Disclosure.payload_type():
            use = await _disclosure(session, word, index)
        case _:
            use = _refusal(session, word, index)
    # Step 2: the question, which the word names by its digest.
    if request is not None:
        use = use.with_question(request)
    # Step 3: that it concerns whoever is shown it.
    member = session.profile.member
    if member.is_subject:
        about = use.institution if use.request is None else use.request.subject
        concerned = about == member.organisation
    else:
        concerned = use.owner == member.organisation
    if not concerned:
        raise SafeRoomError(Reason.BAD_PROOF, "the room lists a use that concerns somebody else")
    return use


async def _release(session: Session, word: Recorded, index: int) -> Use:
    release, _ = await session.grounds.word(word.statement, Release)
    return Use(
        index=index,
        word=word,
        owner=release.owner,
        institution=release.institution,
        request_id=release.request,
        template=release.template,
        reason=release.reason,
        time=release.time,
        charges=release.charges,
        consent=release.consent,
        epoch=None if release.store is None else release.store.epoch,
    )


async def _disclosure(session: Session, word: Recorded, index: int) -> Use:
    """Read that a subject was shown what is held about it: a use of its own."""
    disclosure, _ = await session.grounds.word(word.statement, Disclosure)
    return Use(
        index=index,
        word=word,
        owner=disclosure.owner,
        institution=disclosure.subject,
        request_id=disclosure.request,
        template=None,
        reason=None,
        time=disclosure.time,
        epoch=disclosure.store.epoch,
    )


def _refusal(session: Session, word: Recorded, index: int) -> Use:
    refusal = load(word.statement, Refusal)
    word.statement.verify([VerifyKey.from_public(session.profile.card.heads_key)])
    if refusal.room != session.profile.card.origin:
        raise SafeRoomError(Reason.BAD_PROOF, "a refusal of another room")
    return Use(
        index=index,
        word=word,
        owner=refusal.owner,
        institution=refusal.institution,
        request_id=refusal.request,
        template=None,
        reason=refusal.reason,
        time=refusal.time,
    )
