"""Where owners' key agents attend, and where an enclave's keys are asked for.

    link     an enclave wants its key
    desk  →  agent    KeyWanted
    desk  ←  agent    KeyChallenge, a nonce
    desk  →  agent    KeyEvidence, the enclave's claims for that nonce
    desk  ←  agent    KeyRelease, the endorsement and the keys sealed to the enclave; or KeyRefusal

An agent whose owner changed the store's key says so (KeyOffer), and is asked at once.

The desk passes on; only the agent judges the evidence for its owner. The room checks the
endorsement for itself, so that it logs nothing under a key that nobody endorsed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from saferoom.endorsement import Endorsed, require_endorsed
from saferoom.evidence import Caller
from saferoom.exchange import AttestedClaims, Unlocking
from saferoom.logs import Log
from saferoom.register import Register
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import decided, open_decision
from saferoom_proto.statements import ChainLink, EvidenceClaims, load
from saferoom_proto.verification import PinnedCharter

ANSWER_SECONDS: Final = 60.0
"""The longest an agent may take for one answer: its key may lie in an HSM, or behind a person."""

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
_TASK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """An enclave wants its key."""

    task: str
    owner: str


@dataclass(frozen=True, slots=True)
class KeyEvidence:
    """The enclave's evidence for the agent's challenge."""

    task: str
    attested: AttestedClaims
    launch: Envelope | None
    """Its supervisor's word that it started this enclave; none if the server did."""
    recoveries: tuple[Envelope, ...]
    """The owner's decision that this older copy goes on; empty without one."""


@dataclass(frozen=True, slots=True)
class KeyChallenge:
    """A nonce that the evidence must answer."""

    task: str
    nonce: bytes


@dataclass(frozen=True, slots=True)
class KeyRelease:
    """The agent accepts the evidence."""

    task: str
    endorsement: Envelope
    sealed_keys: bytes


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """The agent does not accept the evidence, and why, in words for the operator."""

    task: str
    why: str


@dataclass(frozen=True, slots=True)
class KeyOffer:
    """The agent has another key than it released, and wants to be asked."""


ToAgent = KeyWanted | KeyEvidence
FromAgent = KeyChallenge | KeyRelease | KeyRefusal
Answer = TypeVar("Answer", KeyChallenge, KeyRelease)


class Attesting(Protocol):
    """The one thing the desk asks of an enclave."""

    async def attest(self, nonce: bytes) -> AttestedClaims:
        """Give evidence for a challenge."""
        ...


class Seat:
    """One attending key agent: what it is told, and what it says."""

    def __init__(self, caller: Caller) -> None:
        self.caller: Final = caller
        self._told: Final[asyncio.Queue[ToAgent | None]] = asyncio.Queue()
        self._said: Final[asyncio.Queue[FromAgent | None]] = asyncio.Queue()
        self._given_up: Final[set[str]] = set()
        """Tasks of which nobody waits for the answer any more: the enclave was cut off."""
        self.open = True

    def leave(self) -> None:
        """The agent is gone, or is sent away."""
        self.open = False
        self._told.put_nowait(None)
        self._said.put_nowait(None)

    def hear(self, message: FromAgent) -> None:
        """Take what the agent says."""
        self._said.put_nowait(message)

    async def told(self) -> AsyncIterator[ToAgent]:
        """Give what the agent is to be told, until it leaves."""
        while (message := await self._told.get()) is not None:
            yield message

    async def ask(self, message: ToAgent, kind: type[Answer]) -> Answer:
        """Tell the agent something and wait for its answer of one kind to the same task.

        Raises:
            SafeRoomError: `BAD_EVIDENCE` if it refuses; `UNAVAILABLE` if it leaves or is silent;
                `MALFORMED` if it says anything else, upon which it is sent away.
        """
        self._told.put_nowait(message)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._wanted()
        except TimeoutError as error:
            self.leave()
            raise SafeRoomError(Reason.UNAVAILABLE, "the key agent does not answer") from error
        except asyncio.CancelledError:
            self._given_up.add(message.task)
            raise
        if answer is None:
            raise SafeRoomError(Reason.UNAVAILABLE, "the key agent left")
        if answer.task == message.task and isinstance(answer, kind):
            return answer
        if answer.task == message.task and isinstance(answer, KeyRefusal):
            raise SafeRoomError(Reason.BAD_EVIDENCE, f"the key agent refuses: {answer.why}")
        self.leave()
        raise SafeRoomError(Reason.MALFORMED, "the key agent answers something else")

    async def _wanted(self) -> FromAgent | None:
        """Wait for an answer that somebody waits for; each that was given up comes once."""
        while (answer := await self._said.get()) is not None and answer.task in self._given_up:
            self._given_up.remove(answer.task)
        return answer


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What the agent gave for an enclave: the endorsement as the room checked it, and the keys."""

    endorsed: Endorsed
    sealed_keys: bytes
    recoveries: tuple[Envelope, ...]
    """By which an older copy goes on, if it is one and its owner decided so."""

    @property
    def unlocking(self) -> Unlocking:
        """What the enclave is handed."""
        return Unlocking(self.endorsed.statement, self.sealed_keys, self.recoveries)

    def goes_on(self, charter: PinnedCharter) -> ChainLink:
        """Tell where the enclave's chain goes on: where it ended, or where its owner decided."""
        if not self.recoveries:
            return self.endorsed.endorsement.chain
        return open_decision(self.recoveries, charter).follows


class KeyDesk:
    """The seats of all owners' key agents."""

    def __init__(self, register: Register, clock: Callable[[], datetime], log: Log) -> None:
        self._register: Final = register
        self._clock: Final = clock
        self._log: Final = log
        self._seats: Final[dict[str, list[Seat]]] = {}
        self._attended: Final[dict[str, asyncio.Event]] = {}
        self._offers: Final[dict[str, asyncio.Event]] = {}
        self._claimed: Final[dict[str, ChainLink]] = {}
        self._closed = False

    def claimed(self, owner: str) -> ChainLink | None:
        """Tell where the chain of an owner's enclave ends, as that claimed it last."""
        return self._claimed.get(owner)

    @contextmanager
    def attend(self, caller: Caller) -> Generator[Seat]:
        """Take a seat for a caller's own organisation while its stream is open.

        Raises:
            SafeRoomError: `UNAVAILABLE` while the room closes.
        """
        if self._closed:
            raise SafeRoomError(Reason.UNAVAILABLE, "the room closes")
        seat = Seat(caller)
        seats = self._seats.setdefault(caller.organisation, [])
        seats.append(seat)
        self._log.info("key agent attends", owner=caller.organisation, agent=caller.identity.name)
        self._attendance(caller.organisation).set()
        try:
            yield seat
        finally:
            seat.leave()
            seats.remove(seat)
            self._log.info("key agent left", owner=caller.organisation)

    def offered(self, owner: str) -> asyncio.Event:
        """Give what is set when an owner's agent wants to be asked; who asks it clears that."""
        return self._offers.setdefault(owner, asyncio.Event())

    def close(self) -> None:
        """Send every agent away, and let no more in."""
        self._closed = True
        for seats in self._seats.values():
            for seat in seats:
                seat.leave()

    async def obtain(
        self,
        charter: PinnedCharter,
        enclave: Attesting,
        tls: str,
        launch: Envelope | None,
        refused: Callable[[SafeRoomError], None],
    ) -> Unlocked:
        """Get an enclave's endorsement and keys from an agent, however long that takes.

        Args:
            charter: the owner's, in force.
            enclave: gives the evidence.
            tls: fingerprint of the certificate that its socket is pinned to.
            launch: its supervisor's word that it started it; none if the server did.
            refused: is told why there is no key yet.
        """
        owner, pause = charter.charter.owner, _FIRST_PAUSE_SECONDS
        while True:
            seat = await self._seat(owner)
            try:
                return await self._exchange(seat, charter, enclave, tls, launch)
            except SafeRoomError as error:
                refused(error)
                self._log.warning(
                    "no key", owner=owner, reason=str(error.reason), detail=error.detail
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _exchange(
        self,
        seat: Seat,
        charter: PinnedCharter,
        enclave: Attesting,
        tls: str,
        launch: Envelope | None,
    ) -> Unlocked:
        # Step 1: agent or owner may have been revoked since the agent took its seat.
        identity = seat.caller.identity
        self._register.require_not_revoked(identity.fingerprint, self._clock())
        self._register.require_in_force(identity.organisation)
        # Step 2: the agent's challenge.
        task = secrets.token_hex(_TASK_BYTES)
        challenge = await seat.ask(KeyWanted(task, charter.charter.owner), KeyChallenge)
        # Step 3: the enclave's evidence for it.
        attested = await enclave.attest(challenge.nonce)
        found = load(attested.claims, EvidenceClaims).chain
        self._claimed[charter.charter.owner] = found
        # Step 4: the agent's endorsement of that evidence; of an older copy's only if the owner's
        # approvers decided that it goes on.
        said = (each.envelope for each in self._register.recoveries(charter.charter.owner))
        recoveries = decided(said, charter, found)
        release = await seat.ask(KeyEvidence(task, attested, launch, recoveries), KeyRelease)
        # Step 5: the room's own check of the endorsement.
        endorsed = require_endorsed(
            attested,
            release.endorsement,
            charter=charter,
            nonce=challenge.nonce,
            tls=tls,
            now=self._clock(),
        )
        return Unlocked(endorsed, release.sealed_keys, recoveries)

    async def _seat(self, owner: str) -> Seat:
        """Wait for an agent to attend; the latest first, as it is the likeliest to be alive."""
        while True:
            for seat in reversed(self._seats.get(owner, [])):
                if seat.open:
                    return seat
            attended = self._attendance(owner)
            attended.clear()
            await attended.wait()

    def _attendance(self, owner: str) -> asyncio.Event:
        return self._attended.setdefault(owner, asyncio.Event())
