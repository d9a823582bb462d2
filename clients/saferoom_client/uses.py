"""Uses: what was asked about a subject, or of an owner's enclave, each verified before it is shown.

A subject cannot see who signed a question, since it is no side of the agreement. It need not: the
endorsed enclave says by its signature that it judged this very question of this institution.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from saferoom_client.heads import require_witnessed
from saferoom_client.session import Session
from saferoom_client.use import Use
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    BatchRelease,
    CostEstimate,
    Disclosure,
    FitRelease,
    JobAdmission,
    JobRelease,
    Refusal,
    Release,
    TableRelease,
    load,
)
from saferoom_proto.statements.enclave import StoreState
from saferoom_proto.use_receipt import USE_WORDS
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
    await require_witnessed(session)
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
    kind = USE_WORDS.get(statement.payload_type)
    if kind is None:
        return None
    owner = load(statement, kind).owner
    return None if owner in session.profile.trust.charter_roots else owner


async def _open(session: Session, word: Recorded, index: int, request: Envelope | None) -> Use:
    # Step 1: whose word it is, and on which question.
    kind = USE_WORDS.get(word.statement.payload_type)
    use = _refusal(session, word, index) if kind is None else await _said(session, word, index)
    # Step 2: the question, which the word names by its digest.
    if request is not None:
        use = use.with_question(request)
    # Step 3: that it concerns whoever is shown it.
    member = session.profile.member
    if member.is_subject:
        concerned = use.subject == member.organisation
    else:
        concerned = use.owner == member.organisation
    if not concerned:
        raise SafeRoomError(Reason.BAD_PROOF, "the room lists a use that concerns somebody else")
    return use


async def _said(session: Session, word: Recorded, index: int) -> Use:
    """Read an enclave's word, of whichever kind, once it verifies."""
    kind = USE_WORDS[word.statement.payload_type]
    said, _ = await session.grounds.word(word.statement, kind)
    use = Use(
        index=index,
        word=word,
        owner=said.owner,
        institution=said.subject if isinstance(said, Disclosure) else said.institution,
        request_id=said.request,
        template=None if isinstance(said, Disclosure) else said.template,
        reason=None,
        time=said.time,
    )
    match said:
        case Release():
            return replace(
                use,
                reason=said.reason,
                charges=said.charges,
                consent=said.consent,
                epoch=_epoch(said.store),
            )
        case BatchRelease():
            # A batch may have been judged from more than one period; it counts to the last.
            last = said.spans[-1].store if said.spans else None
            rows = (said.answered, said.refused)
            return replace(use, reason=said.reason, epoch=_epoch(last), rows=rows)
        case JobAdmission():
            return replace(use, epoch=said.store.epoch, privacy=said.privacy)
        case TableRelease() | JobRelease() | FitRelease():
            privacy = None if isinstance(said, JobRelease) else said.privacy
            return replace(use, reason=said.reason, epoch=_epoch(said.store), privacy=privacy)
        case CostEstimate():
            return replace(use, reason=said.refused, epoch=_epoch(said.store))
        case Disclosure():
            return replace(use, epoch=said.store.epoch)


def _epoch(store: StoreState | None) -> int | None:
    return None if store is None else store.epoch


def _refusal(session: Session, word: Recorded, index: int) -> Use:
    refusal = load(word.statement, Refusal)
    word.statement.verify(session.profile.card.heads_keys)
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
