"""Attending to the room: every enclave start asks for its key, and the agent answers.

The agent dials out and keeps the line, so that the owner opens no port. A lost line is taken up
again after a pause that doubles up to ten seconds.

Meanwhile it looks at the room's log: an enclave's folder can be put back together with the log that
would give it away, and then only who saw more of the log knows.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Final

import grpc

from saferoom_client.agent.folder import KeyAgent
from saferoom_client.agent.hardware import quote_verifiers
from saferoom_client.agent.policy import appraise, release_keys
from saferoom_client.agent.rotation import under
from saferoom_client.agent.slots import Slot
from saferoom_client.events import Event, Happening, Tell, ignore_events
from saferoom_client.handovers import follow
from saferoom_client.log import verify_log
from saferoom_client.members import whoami
from saferoom_client.profile import Profile
from saferoom_client.refused import Refused, refusal_of
from saferoom_client.session import Clock, Session, utc_now
from saferoom_proto.attestation import NONCE_BYTES, read_evidence
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
OFFER_SECONDS: Final = 1.0
"""How often the agent looks whether its owner changed the store's key."""
LOOK_SECONDS: Final = 5.0
"""How often the agent looks whether the log still holds all that it held."""
MOST_OPEN_CHALLENGES: Final = 16
"""One enclave asks for one key at a time; more open challenges than this are noise."""

Stream = grpc.aio.StreamStreamCall[owner_pb2.AttendKeysRequest, owner_pb2.AttendKeysResponse]


async def attend(
    agent: KeyAgent, *, on_event: Tell = ignore_events, clock: Clock = utc_now
) -> None:
    """Attend until cancelled, taking up a lost line again.

    Raises:
        SafeRoomError: `UNAUTHENTICATED`, `CERTIFICATE_REVOKED` or `NOT_ALLOWED` if the room takes
            this agent for nobody, or for another organisation's; `BAD_CONFIG` for its folder.
    """
    profile = Profile.load(agent.profile_folder)
    pause = FIRST_PAUSE_SECONDS
    while True:
        async with Session(profile, clock=clock) as session:
            attendance = _Attendance(agent, session, on_event)
            try:
                await attendance.run()
                detail = "the room ended the call"
            except (Refused, grpc.aio.AioRpcError) as error:
                refusal = error if isinstance(error, Refused) else refusal_of(error)
                if refusal.reason in _FINAL:
                    raise refusal from error
                detail = refusal.detail or str(refusal.reason)
        if attendance.answered:
            pause = FIRST_PAUSE_SECONDS
        on_event(Event(Happening.DISCONNECTED, f"{detail}; again in {pause:.1f} s"))
        # Jitter keeps the agents of one room from coming back all at once.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


_FINAL: Final = frozenset({Reason.UNAUTHENTICATED, Reason.CERTIFICATE_REVOKED})
"""What no waiting mends; an organisation that is not enrolled yet may be at the next try."""


class _Attendance:
    """One call to the room, and the challenges that are open in it."""

    def __init__(self, agent: KeyAgent, session: Session, on_event: Tell) -> None:
        self._agent: Final = agent
        self._session: Final = session
        self._on_event: Final = on_event
        self._nonces: Final[dict[str, bytes]] = {}
        self._writing: Final = asyncio.Lock()
        self._looking: Final = asyncio.Lock()
        self.answered = False
        """Whether the room has said anything."""

    async def run(self) -> None:
        """Answer the room until it ends the call."""
        caller = await whoami(self._session)
        if caller.organisation != self._agent.policy.owner:
            detail = f"the room takes this agent for a member of {caller.organisation}"
            raise SafeRoomError(Reason.NOT_ALLOWED, detail)
        stream = self._session.owners.AttendKeys()
        beside = [asyncio.create_task(each) for each in (self._offer(stream), self._look())]
        try:
            await self._attend(stream)
        finally:
            for task in beside:
                task.cancel()

    async def _attend(self, stream: Stream) -> None:
        self._on_event(Event(Happening.ATTENDING, self._session.profile.card.address))
        async for message in stream:
            self.answered = True
            match message.WhichOneof("message"):
                case "wanted":
                    await self._write(stream, self._challenge(message.wanted))
                case "evidence":
                    await self._write(stream, await self._answer(message.evidence))
                case _:
                    pass  # a message of a later version, which this agent cannot answer

    async def _offer(self, stream: Stream) -> None:
        """Want to be asked once whenever the store's key was changed."""
        offered = False
        while True:
            changed = self._agent.source.has(Slot.STORE_BEFORE)
            if changed and not offered:
                await self._write(stream, owner_pb2.AttendKeysRequest(offer=owner_pb2.KeyOffer()))
            offered = changed
            await asyncio.sleep(OFFER_SECONDS)

    async def _look(self) -> None:
        """Look at the log again and again; what is wrong with it is told once."""
        told = ""
        while True:
            try:
                await self._require_log()
                told = ""
            except SafeRoomError as error:
                why = f"{error.reason}: {error.detail}"
                if error.reason not in _LINE_LOST and why != told:
                    told = why
                    self._on_event(Event(Happening.REFUSED, why))
            await asyncio.sleep(LOOK_SECONDS)

    async def _require_log(self) -> None:
        """Verify that the log extends what the agent saw of it, and remember its head.

        Where the pinned key handed over, the agent goes over: nobody types that for it, and an
        enclave that starts meanwhile would get no key.
        """
        async with self._looking:  # whoever came first would otherwise be forgotten again
            try:
                await verify_log(self._session)
            except SafeRoomError as error:
                if error.reason is not Reason.BAD_SIGNATURE:
                    raise
                followed = await follow(self._session)
                await verify_log(self._session)
                keys = ", ".join(each.says.following for each in followed.handovers)
                self._on_event(
                    Event(Happening.FOLLOWED, f"the room's keys were handed over: {keys}")
                )

    async def _write(self, stream: Stream, message: owner_pb2.AttendKeysRequest) -> None:
        async with self._writing:  # a stream takes one message at a time
            await stream.write(message)

    def _challenge(self, wanted: owner_pb2.KeyWanted) -> owner_pb2.AttendKeysRequest:
        while len(self._nonces) >= MOST_OPEN_CHALLENGES:
            self._nonces.pop(next(iter(self._nonces)))
        nonce = os.urandom(NONCE_BYTES)
        self._nonces[wanted.task] = nonce
        challenge = owner_pb2.KeyChallenge(task=wanted.task, nonce=nonce)
        return owner_pb2.AttendKeysRequest(challenge=challenge)

    async def _answer(self, told: owner_pb2.KeyEvidence) -> owner_pb2.AttendKeysRequest:
        try:
            release = await self._decide(told)
        except SafeRoomError as error:
            why = f"{error.reason}: {error.detail}"[:_WHY_CHARS]
            command = next(iter(getattr(error, "__notes__", ())), "")
            self._on_event(Event(Happening.REFUSED, why, command))
            refusal = owner_pb2.KeyRefusal(task=told.task, why=why)
            return owner_pb2.AttendKeysRequest(refusal=refusal)
        return owner_pb2.AttendKeysRequest(release=release)

    async def _decide(self, told: owner_pb2.KeyEvidence) -> owner_pb2.KeyRelease:
        # A nonce is used once: evidence that comes a second time answers no challenge.
        nonce = self._nonces.pop(told.task, None)
        if nonce is None:
            raise SafeRoomError(Reason.BAD_EVIDENCE, "the evidence answers no open challenge")
        evidence = read_evidence(told.kind, told.quote)
        await self._require_log()
        ask = owner_pb2.GetCharterRequest(owner=self._agent.policy.owner)
        charter = await self._session.call(self._session.owners.GetCharter, ask)
        in_force = envelope_from_proto(charter.charter)
        # Read anew, so that what the owner accepts or no longer accepts counts at once.
        agent = under(KeyAgent.load(self._agent.folder), in_force)
        accepted = appraise(
            agent,
            envelope_from_proto(told.claims),
            evidence,
            nonce,
            in_force,
            launch=envelope_from_proto(told.launch) if told.HasField("launch") else None,
            recoveries=[envelope_from_proto(each) for each in told.recoveries],
            verifiers=quote_verifiers(agent, self._session.clock()),
        )
        released = release_keys(agent, accepted, self._session.clock())
        claims = accepted.claims
        detail = f"sandbox level {claims.sandbox_level}, chain {claims.chain.index}"
        if (decision := accepted.decision) is not None:
            detail += f", an older copy that goes on at {decision.follows.index} by decision"
        self._on_event(Event(Happening.RELEASED, detail))
        return owner_pb2.KeyRelease(
            task=told.task,
            endorsement=envelope_to_proto(released.endorsement),
            sealed_keys=released.sealed_keys,
        )


_WHY_CHARS: Final = 1000  # what the contract takes
_LINE_LOST: Final = frozenset({Reason.UNAVAILABLE, Reason.DEADLINE})
"""What says nothing of the log: whoever attends finds out by itself."""
