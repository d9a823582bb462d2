"""What was said of a federation, verified: nothing of it is taken from the room on trust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from saferoom_client.federating.folder import FederationFolder
from saferoom_client.pages import all_pages
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.federation import ByBank, require_joined_in_time, said_at, verify_by_bank
from saferoom_proto.identity import fingerprint
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    load,
)
from saferoom_proto.v1 import federation_pb2
from saferoom_proto.wire import recorded_from_proto

LEAST_APART: Final = 3
"""Two trainings of the same columns may differ by no bank or by so many (`check_apart`)."""
REMEMBERED: Final = timedelta(days=31)
"""For how long: by then rows have changed, and what lies between two sums is no bank's alone."""


_UNVERIFIED: Final = (
    Reason.BAD_PROOF,
    Reason.BAD_SIGNATURE,
    Reason.UNAUTHENTICATED,
    Reason.EXPIRED,
    Reason.NOT_YET_VALID,
)
"""What one bank's word alone may be refused for: it is no reason to show none of the others."""


@dataclass(frozen=True, slots=True)
class FederationView:
    """One federation.

    Attributes:
        federation: its id, the digest of the proposal.
        proposal: what is trained, and with whom.
        joins: by bank.
        ends: of those that ended it.
        results: of those that trained it.
        rounds: that were summed, as the room says; None before it began.
        missing: whose message is due, as the room says.
        ended: why it ended before its end, as the room says.
    """

    federation: str
    proposal: FederationProposal
    joins: dict[str, FederationJoin]
    ends: tuple[FederationEnd, ...]
    results: tuple[FederationResult, ...]
    rounds: int | None
    missing: tuple[str, ...]
    ended: str

    @property
    def certificates(self) -> dict[str, str]:
        """The fingerprint of the certificate by which each bank joined.

        Any issuer that any pinned owner's charter names vouches for these: compare them with the
        banks by another way.
        """
        return {bank: fingerprint(unb64(join.signer)) for bank, join in self.joins.items()}

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The banks that have not joined."""
        return tuple(bank for bank in self.proposal.banks if bank not in self.joins)

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        if self.results:
            return later("trained")
        if self.ends or self.ended:
            return later("ended")
        if self.waiting_for:
            return later("waiting for banks to join")
        return later("ready") if self.rounds is None else later("training")

    @property
    def differing(self) -> tuple[FederationResult, ...]:
        """Results that tell of another course than the first: one of the banks does not say so."""
        return tuple(one for one in self.results if one.course != self.results[0].course)

    def document(self) -> dict[str, object]:
        """Give it for programs."""
        proposal = self.proposal.model_dump(mode="json", exclude={"signer", "nonce", "room"})
        return {
            "federation": self.federation,
            "state": self.state,
            "proposal": proposal,
            "joined": sorted(self.joins),
            "certificates": self.certificates,
            "ended": [end.institution for end in self.ends],
            "results": [
                result.model_dump(mode="json", exclude={"signer", "room", "federation"})
                for result in self.results
            ],
            "rounds": self.rounds,
            "missing": list(self.missing),
            "ended_why": self.ended,
        }


async def issuers_of(session: Session) -> tuple[str, ...]:
    """Give the identity issuers that the owners whom this member pinned take certificates of.

    Raises:
        SafeRoomError: `BAD_CHARTER` where none is pinned.
    """
    owners = session.profile.trust.charter_roots
    if not owners:
        rule = later("pin an owner's charter root: its charter names who names the other banks")
        refusal = SafeRoomError(Reason.BAD_CHARTER, rule, [FieldFault("trust", rule)])
        refusal.add_note(session.profile.typed("trust pin OWNER ROOT"))
        raise refusal
    charters = [await session.grounds.charter(owner) for owner in owners]
    return tuple({pem: None for charter in charters for pem in charter.issuer_certificates})


def opened(
    session: Session, envelope: Envelope, kind: type[ByBank], issuers: tuple[str, ...]
) -> ByBank:
    """Verify a bank's word, at its own instant."""
    at = said_at(load(envelope, kind))
    return verify_by_bank(envelope, kind, session.profile.card.origin, issuers, at)[0]


async def get_federation(session: Session, federation: str) -> FederationView:
    """Get what was said of a federation, every signature and proof verified.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT`; `BAD_PROOF`, `BAD_SIGNATURE` where the room tells what
            is not in the log, or what no bank named in it said.
    """
    ask = federation_pb2.GetFederationRequest(federation=federation)
    told = await session.call(session.federations.GetFederation, ask)
    recorded = recorded_from_proto(told.proposal)
    if recorded.statement.digest != federation:
        raise SafeRoomError(Reason.BAD_PROOF, "the room tells of another federation")
    session.grounds.require_recorded(recorded)
    issuers = await issuers_of(session)
    proposal = opened(session, recorded.statement, FederationProposal, issuers)
    joins: dict[str, FederationJoin] = {}
    ends: list[FederationEnd] = []
    results: list[FederationResult] = []
    for each in map(recorded_from_proto, told.words):
        session.grounds.require_recorded(each)
        word = _word(session, each.statement, issuers)
        require_of(recorded.statement, proposal, word)
        match word:
            case FederationJoin():
                require_joined_in_time(proposal, word)
                joins.setdefault(word.institution, word)
            case FederationEnd():
                ends.append(word)
            case FederationResult():
                results.append(word)
    progress = told.progress
    return FederationView(
        federation,
        proposal,
        joins,
        tuple(ends),
        tuple(results),
        progress.rounds if progress.began else None,
        tuple(progress.missing),
        progress.ended,
    )


def require_of(
    envelope: Envelope,
    proposal: FederationProposal,
    word: FederationJoin | FederationEnd | FederationResult,
) -> None:
    """Refuse a word on another federation, or of a bank that this one does not name."""
    if word.federation != envelope.digest or word.institution not in proposal.banks:
        raise SafeRoomError(Reason.BAD_PROOF, "a word on another federation, or of no bank in it")


def _word(
    session: Session, envelope: Envelope, issuers: tuple[str, ...]
) -> FederationJoin | FederationEnd | FederationResult:
    if envelope.payload_type == FederationJoin.payload_type():
        return opened(session, envelope, FederationJoin, issuers)
    if envelope.payload_type == FederationEnd.payload_type():
        return opened(session, envelope, FederationEnd, issuers)
    return opened(session, envelope, FederationResult, issuers)


async def list_federations(
    session: Session, *, skipped: Callable[[str, SafeRoomError], None] | None = None
) -> tuple[FederationView, ...]:
    """List the federations that name the member's institution, the newest last.

    Args:
        session: of a member.
        skipped: is told the id of each that cannot be verified, and why; without it that is raised.
    """
    views: list[FederationView] = []
    for each in await _proposals(session):
        try:
            views.append(await get_federation(session, each.federation))
        except SafeRoomError as error:
            if skipped is None or error.reason not in _UNVERIFIED:
                raise
            skipped(each.federation, error)
    return tuple(views)


async def find_federation(session: Session, named: str) -> str:
    """Find a federation by its id, the first digits of it, or the proposal's name.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` if there is none, or more than one.
    """
    if ":" in named:
        return named
    found = {
        each.federation
        for each in await _proposals(session)
        if each.federation.partition(":")[2].startswith(named) or each.proposal.name == named
    }
    if len(found) != 1:
        rule = f"{named} names {len(found)} federations of yours: give more digits of its id"
        if not found:
            rule = f"{named} names no federation of yours"
        refusal = SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("federation", rule)])
        refusal.add_note(session.profile.typed("federation list"))
        raise refusal
    return found.pop()


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that names this member's institution, and its entry of the log."""

    federation: str
    proposal: FederationProposal
    index: int


async def _proposals(session: Session) -> tuple[Proposed, ...]:
    own = session.profile.member.organisation

    async def page(before: int) -> tuple[list[Proposed], int]:
        ask = federation_pb2.ListFederationsRequest(before=before)
        told = await session.call(session.federations.ListFederations, ask)
        listed: list[Proposed] = []
        for each in map(recorded_from_proto, told.proposals):
            _, index = session.grounds.require_recorded(each)
            proposal = load(each.statement, FederationProposal)
            if own not in proposal.banks:
                raise SafeRoomError(Reason.BAD_PROOF, "the room lists a federation of others")
            listed.append(Proposed(each.statement.digest, proposal, index))
        return listed, told.next

    return await all_pages(page)


def told_apart(earlier: FederationProposal, now: FederationProposal) -> frozenset[str]:
    """Give the banks whose part two trainings over the same rows would tell; mostly none."""
    apart = frozenset({*earlier.banks} ^ {*now.banks})
    recent = now.valid_from - earlier.valid_to < REMEMBERED
    alike = {each.name for each in earlier.columns} & {each.name for each in now.columns}
    return apart if recent and alike and len(apart) < LEAST_APART else frozenset()


async def check_apart(session: Session, view: FederationView, *, joining: bool) -> None:
    """Refuse to take part where another training would, with this one, tell one bank's part.

    Two trainings over the same rows whose banks differ by one or two: what lies between their first
    sums is what those brought. Besides what the room says, what this member folder knows of itself
    counts: that numbers were sent is never taken back.

    Args:
        session: of the member.
        view: what it would take part in.
        joining: whether it would join: then one that it joined and nobody ended is in the way, too.

    Raises:
        SafeRoomError: `CONFLICT` naming the other one.
    """
    for each in await _proposals(session):
        earlier = each.proposal
        apart = told_apart(earlier, view.proposal)
        if each.federation == view.federation or not apart:
            continue
        trained = await get_federation(session, each.federation)
        mine = FederationFolder(session.profile, each.federation)
        open_here = (mine.has_joined() if joining else mine.begun()) and not trained.ends
        if trained.rounds or trained.results or mine.masked() or open_here:
            gone = ", ".join(sorted(apart))
            rule = f"{earlier.name} is trained with or without {gone}: both would tell their part"
            raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("banks", rule)])
