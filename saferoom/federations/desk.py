"""Federated trainings in the room: what banks say of them recorded, and their messages carried.

Each bank sees masked numbers and the sum of each round; the room no more than they do
(docs/federated-training.md). What came of a training stays in the room's database, masked as it
came, until all banks of its last sum have said what they trained, it ended, or its proposal is a
day past: a room that was killed goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from saferoom.archive import Archive, Found
from saferoom.evidence import Caller, Recorded, Role
from saferoom.federations import rules as federation_rules
from saferoom.federations.rules import Word
from saferoom.ledger.ledger import Ledger
from saferoom.limits import Limits
from saferoom.mentions import About
from saferoom.notary import Notary
from saferoom.one_by_one import OneByOne
from saferoom.pages import Page, page_about
from saferoom.state.rows import FederationForgotten, FederationRow
from saferoom.statements import Statements
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    FederationEnd,
    FederationJoin,
    FederationProposal,
    FederationResult,
    Payload,
    load,
)
from saferoom_proto.v1 import federation_pb2

if TYPE_CHECKING:
    from saferoom.federations.run import FederationRun, RunProgress

PIECE_BYTES: Final = 1 << 20
_WORDS: Final[tuple[type[FederationJoin | FederationEnd | FederationResult], ...]] = (
    FederationJoin,
    FederationEnd,
    FederationResult,
)
MOST_OPEN: Final = 20
"""Proposals of one institution that are open: else one could bury those of all others."""
KEPT_FOR: Final = timedelta(days=1)
"""After a proposal's end: by then no step of a training that began within it can be open."""
LOOK_SECONDS: Final = 3600.0
"""How often the room looks for trainings to forget: they may lie for an hour longer."""
_MOST_STREAMS: Final = 500
_MOST_STREAMS_EACH: Final = 8
"""Banks that take part at once, and of one bank: each holds a message of some MB at most."""

Piece = federation_pb2.TrainFederationRequest


@dataclass(frozen=True, slots=True)
class Federation:
    """What is known of one federation.

    Attributes:
        proposal: with its proof.
        words: joins, ends and results, with their proofs, in the log's order.
        progress: of its training; none if none has begun.
    """

    proposal: Recorded[FederationProposal]
    words: tuple[Recorded[Payload], ...]
    progress: RunProgress | None

    @property
    def joins(self) -> tuple[FederationJoin, ...]:
        """Of all banks that joined."""
        return tuple(word.said for word in self.words if isinstance(word.said, FederationJoin))

    def told_by_all_of(self, result: FederationResult) -> bool:
        """Say whether all banks behind a result's last sum have told, this result counted."""
        told = {
            word.said.institution
            for word in self.words
            if isinstance(word.said, FederationResult) and word.said.course == result.course
        }
        return set(result.banks) <= told | {result.institution}

    @property
    def said(self) -> frozenset[tuple[type, str]]:
        """The kind of each word, and whose it is."""
        return frozenset(
            (type(word.said), word.said.institution)
            for word in self.words
            if isinstance(word.said, _WORDS)
        )


class Federations:
    """Takes what banks say of federations, and carries their messages.

    Args:
        statements: accepts what is said.
        archive: finds it.
        notary: proves it.
        ledger: keeps messages.
        clock: gives the instant.
    """

    def __init__(
        self,
        statements: Statements,
        archive: Archive,
        notary: Notary,
        ledger: Ledger,
        clock: Callable[[], datetime],
    ) -> None:
        self._statements: Final = statements
        self._archive: Final = archive
        self._notary: Final = notary
        self._ledger: Final = ledger
        self._clock: Final = clock
        self._limits: Final = Limits(_MOST_STREAMS, _MOST_STREAMS_EACH, "trainings")
        self._one_by_one: Final = OneByOne()
        self._runs: Final[dict[str, FederationRun]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Forget what is old, now and every hour until `drain`."""
        await self._look()
        self._looking = asyncio.create_task(self._look_for_ever(), name="old federations")

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        with suppress(SafeRoomError):  # a disk that refuses keeps no room shut; the next look tries
            await self.forget_old()

    async def propose(self, caller: Caller, envelope: Envelope) -> Recorded[FederationProposal]:
        """Accept a proposal.

        Raises:
            SafeRoomError: `TOO_MANY_REQUESTS` past so many of the caller's that are open.
        """

        async def accepted() -> Recorded[FederationProposal]:
            await self._require_few(caller, envelope)
            return await self._statements.accept(caller, envelope, federation_rules.PROPOSAL)

        return await self._one_by_one.run(f"proposals of {caller.organisation}", accepted)

    async def _require_few(self, caller: Caller, envelope: Envelope) -> None:
        own, now = caller.organisation, self._clock()
        found = await self._archive.about(About.FEDERATIONS_OF_BANK, own)
        said = [load(each.envelope, FederationProposal) for each in found]
        still = [each for each in said if each.institution == own and each.valid_to > now]
        known = any(each.envelope.digest == envelope.digest for each in found)
        if len(still) >= MOST_OPEN and not known:
            rule = f"{len(still)} of your proposals are open: wait until they are over"
            fault = FieldFault("proposal", rule)
            raise SafeRoomError(Reason.TOO_MANY_REQUESTS, "proposals", [fault])

    async def say(self, caller: Caller, envelope: Envelope, kind: type[Word]) -> Recorded[Word]:
        """Accept a bank's word on a federation; that it ends is heard by its training at once.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for a federation that does not name the caller;
                `CONFLICT` where it has said so, or it has ended.
        """
        word = load(envelope, kind)

        async def accepted() -> Recorded[Word]:
            found = await self.get(caller, word.federation)
            keys = {join.key for join in found.joins}
            rule = federation_rules.word_rule(kind, found.proposal.said, found.said, keys)
            recorded = await self._statements.accept(caller, envelope, rule)
            if isinstance(word, FederationEnd) and word.federation in self._runs:
                await self._runs[word.federation].end(_ended_by(word.institution))
            if isinstance(word, FederationResult) and found.told_by_all_of(word):
                self._runs.pop(word.federation, None)
                await self._ledger.store(FederationForgotten(word.federation))
            return recorded

        return await self._one_by_one.run(word.federation, accepted)

    async def forget_old(self) -> None:
        """Forget what is kept of trainings that nobody can take up again."""
        for federation in await self._archive.federations_kept():
            found = await self._archive.find(federation)
            run = self._runs.get(federation)
            going = run is not None and not (run.progress.over or run.progress.ended)
            if found is None or going:
                continue
            proposal = load(found.envelope, FederationProposal)
            if proposal.valid_to + KEPT_FOR < self._clock():
                self._runs.pop(federation, None)
                await self._ledger.store(FederationForgotten(federation))

    async def get(self, caller: Caller, federation: str) -> Federation:
        """Tell what was said of a federation, and how far it is.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT` for one that does not concern the caller.
        """
        found = await self._archive.find(federation)
        if found is None or found.kind != FederationProposal.KIND:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no federation of yours")
        proposal = load(found.envelope, FederationProposal)
        if caller.organisation not in proposal.banks and Role.AUDITOR not in caller.roles:
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, "no federation of yours")
        words = await self._archive.about(About.WORDS_ON_FEDERATION, federation)
        run = self._runs.get(federation)
        return Federation(
            self._notary.prove(found, proposal),
            tuple(self._notary.prove(each, _word(each)) for each in words),
            run.progress if run else None,
        )

    async def listed(self, caller: Caller, before: int) -> Page:
        """Give proposals that name the caller's institution, before an entry."""
        about = About.FEDERATIONS_OF_BANK
        return await page_about(self._archive, self._notary, about, caller.organisation, before)

    async def train(
        self, caller: Caller, pieces: AsyncIterator[Piece]
    ) -> AsyncGenerator[federation_pb2.TrainFederationResponse]:
        """Carry a bank's messages and the answers to them, in turn.

        Raises:
            SafeRoomError: `UNKNOWN_STATEMENT`, `TOO_MANY_REQUESTS`; `EXPIRED`, `CONFLICT` before
                all have joined; `MALFORMED` for a message that is not due.
        """
        from saferoom.federations.run import EndedError  # noqa: PLC0415 - numpy, for this alone

        first = await anext(pieces, None)
        if first is None or first.WhichOneof("piece") != "federation":
            raise SafeRoomError(Reason.MALFORMED, "training begins with the federation's name")
        name = caller.organisation
        with self._limits.place(name):
            run = await self._run(caller, first.federation)
            while (message := await _message(pieces, run.largest)) is not None:
                try:
                    answer = await run.answer(name, message)
                except EndedError as ended:
                    yield federation_pb2.TrainFederationResponse(ended=ended.detail)
                    return
                for start in range(0, len(answer), PIECE_BYTES):
                    data = answer[start : start + PIECE_BYTES]
                    last = start + PIECE_BYTES >= len(answer)
                    piece = federation_pb2.FederationPiece(last=last, data=data)
                    yield federation_pb2.TrainFederationResponse(message=piece)

    async def drain(self, seconds: float) -> None:
        """Wait for no bank any more: what came is kept."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking], timeout=seconds)
        for run in self._runs.values():
            await run.stop(seconds)

    async def _run(self, caller: Caller, federation: str) -> FederationRun:
        """Give the training of a federation that all its banks have joined."""

        async def taken_up() -> FederationRun:
            found = await self.get(caller, federation)
            if caller.organisation not in found.proposal.said.banks:
                raise SafeRoomError(Reason.NOT_ALLOWED, "the proposal does not name this bank")
            if federation not in self._runs:
                self._require_ready(caller, found)
                self._runs[federation] = await self._taken_up(federation, found)
            return self._runs[federation]

        return await self._one_by_one.run(federation, taken_up)

    def _require_ready(self, caller: Caller, found: Federation) -> None:
        proposal = found.proposal.said
        if (FederationResult, caller.organisation) in found.said:
            rule = "your bank has said what it trained: what came of it is not kept any more"
            raise SafeRoomError(Reason.CONFLICT, "trained", [FieldFault("federation", rule)])
        proposal.require_valid(self._clock())
        joined = {join.institution for join in found.joins}
        if missing := [bank for bank in proposal.banks if bank not in joined]:
            rule = f"these have not joined yet: {', '.join(missing)}"
            raise SafeRoomError(Reason.CONFLICT, "joins", [FieldFault("federation", rule)])

    async def _taken_up(self, federation: str, found: Federation) -> FederationRun:
        """Make a training, or take up what was kept of it."""
        from saferoom.federations.run import ENDED, FederationRun, terms_of  # noqa: PLC0415 - numpy

        happened = await self._archive.federation_messages(federation)
        number = len(happened)

        async def keep(what: bytes) -> None:
            nonlocal number
            row = FederationRow(federation, number, what)
            before = (FederationForgotten(federation, before=number),)
            await self._ledger.store(row, *(before if what.startswith(ENDED) else ()))
            number += 1

        proposal = found.proposal.said
        terms = terms_of(federation, proposal, found.joins)
        run = FederationRun(terms, proposal.wait_seconds, keep)
        await asyncio.to_thread(run.replay, happened)
        for kind, bank in found.said:
            if kind is FederationEnd:
                await run.end(_ended_by(bank))
        return run


def _ended_by(bank: str) -> str:
    return f"CANCELLED: {bank} takes part no longer"


def _word(found: Found) -> Payload:
    kinds: dict[str, type[Payload]] = {kind.KIND: kind for kind in _WORDS}
    return load(found.envelope, kinds[found.kind])


async def _message(pieces: AsyncIterator[Piece], most: int) -> bytes | None:
    """Read the next message; none when the bank says no more.

    Raises:
        SafeRoomError: `TOO_LARGE`, `MALFORMED`.
    """
    held, size = list[bytes](), 0
    async for each in pieces:
        if each.WhichOneof("piece") != "message":
            raise SafeRoomError(Reason.MALFORMED, "the federation's name comes once, at first")
        size += len(each.message.data)
        if size > most:
            raise SafeRoomError(Reason.TOO_LARGE, f"a message of more than {most} bytes")
        held.append(each.message.data)
        if each.message.last:
            return b"".join(held)
    return None
