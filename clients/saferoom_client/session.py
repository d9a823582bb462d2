"""One member's connection to its room, and what it has verified so far."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc

from saferoom_client.backoff import Pauses
from saferoom_client.channel import open_channel
from saferoom_client.grounds import Grounds
from saferoom_client.profile import Profile
from saferoom_client.question import ReplyKeys
from saferoom_client.refused import Refused, refusal_of
from saferoom_client.reliance import Reliance
from saferoom_client.values import TemplateView
from saferoom_proto.dsse import Envelope
from saferoom_proto.quota import Quota
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Payload, seal_statement
from saferoom_proto.v1 import (
    batch_pb2_grpc,
    check_pb2_grpc,
    consent_pb2_grpc,
    evidence_pb2,
    federation_pb2_grpc,
    identity_pb2_grpc,
    job_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    owner_pb2,
    owner_pb2_grpc,
    subject_pb2_grpc,
    table_pb2_grpc,
    template_pb2_grpc,
    use_pb2_grpc,
)
from saferoom_proto.wire import Recorded, envelope_from_proto, recorded_from_proto

Clock = Callable[[], datetime]
Ask = TypeVar("Ask")
Told = TypeVar("Told")

_OWNER: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
"""As formulas name owners; other organisations' handles may have hyphens."""

DEADLINE_SECONDS: Final = 15.0
"""Half of what the server lets a call last, so that a caller never waits for the server's own."""

PENDING_SECONDS: Final = 0.5
"""Before a question is asked again whose record is being fetched."""


def utc_now() -> datetime:
    """Give the host's time."""
    return datetime.now(UTC)


class Session:
    """A member's open connection: its calls, its clock, and the grounds it has verified.

    Made and used in one event loop.

    Args:
        profile: the member.
        clock: gives the present instant.
        deadline_seconds: how long a call may take, its retries included.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        clock: Clock = utc_now,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.profile = profile
        self.clock: Final = clock
        self.deadline_seconds: Final = deadline_seconds
        self._channel: Final = open_channel(profile)
        self.identities: Final = identity_pb2_grpc.IdentityServiceStub(self._channel)
        self.owners: Final = owner_pb2_grpc.OwnerServiceStub(self._channel)
        self.templates: Final = template_pb2_grpc.TemplateServiceStub(self._channel)
        self.consents: Final = consent_pb2_grpc.ConsentServiceStub(self._channel)
        self.subjects: Final = subject_pb2_grpc.SubjectServiceStub(self._channel)
        self.checks: Final = check_pb2_grpc.CheckServiceStub(self._channel)
        self.uses: Final = use_pb2_grpc.UseServiceStub(self._channel)
        self.batches: Final = batch_pb2_grpc.BatchServiceStub(self._channel)
        self.jobs: Final = job_pb2_grpc.JobServiceStub(self._channel)
        self.federations: Final = federation_pb2_grpc.FederationServiceStub(self._channel)
        self.tables: Final = table_pb2_grpc.TableServiceStub(self._channel)
        self.ledger: Final = ledger_pb2_grpc.LedgerServiceStub(self._channel)
        self.grounds: Final = Grounds(lambda: self.profile.trust, self._fetch, self._fetch_charter)
        self.reliance: Final = Reliance(profile.witness_policy())
        self.quota: Quota | None = None
        """What this member's organisation may have under way, by the newest answer of the room."""
        self._dice: Final = random.Random()  # noqa: S311 - spreads callers, and is no secret
        self.reply_keys: Final = ReplyKeys()
        self.views: Final[dict[str, TemplateView]] = {}
        """Templates by the name or digest they were asked under."""

    @classmethod
    def open(cls, folder: str | Path, *, deadline_seconds: float = DEADLINE_SECONDS) -> Self:
        """Open a member's folder; the connection is made with the first call.

        Raises:
            SafeRoomError: `BAD_CONFIG` naming what is wrong in the folder.
        """
        return cls(Profile.load(Path(folder)), deadline_seconds=deadline_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; calls under way are cancelled."""
        await self._channel.close()

    @property
    def owner(self) -> str:
        """The data owner that the member belongs to.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for a handle that no data owner has.
        """
        organisation = self.profile.member.organisation
        if not _OWNER.fullmatch(organisation):
            raise SafeRoomError(Reason.NOT_ALLOWED, f"{organisation} is no data owner")
        return organisation

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Ask, Told],
        ask: Ask,
        deadline_seconds: float | None = None,
    ) -> Told:
        """Make one call; one that the room refused unread, as one too many, is made again.

        Raises:
            Refused: whatever the room refused it for, or `UNAVAILABLE` and `DEADLINE`.
            SafeRoomError: `UNAUTHENTICATED` where nobody answers a certificate that has ended.
        """
        timeout = self.deadline_seconds if deadline_seconds is None else deadline_seconds
        clock = asyncio.get_running_loop().time
        end = clock() + timeout
        pauses = Pauses(end, self._dice)
        while True:
            try:
                return await self._once(method, ask, end - clock())
            except Refused as refused:
                pause = _pause(refused, pauses, clock())
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _once(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Ask, Told], ask: Ask, seconds: float
    ) -> Told:
        try:
            call = method(ask, timeout=seconds)
            told = await call
            self.quota = Quota.of(await call.trailing_metadata()) or self.quota
        except grpc.aio.AioRpcError as error:
            refused = refusal_of(error)
            if refused.reason is Reason.UNAVAILABLE:
                self.profile.require_in_time(utc_now())  # as TLS, by the host
            raise refused from error
        except grpc.aio.UsageError as error:
            raise SafeRoomError(Reason.UNAVAILABLE, "the room's connection is closed") from error
        return told

    def sign(self, statement: Payload | Envelope) -> Envelope:
        """Sign a payload with the member's key; a statement that is signed already is kept."""
        if isinstance(statement, Envelope):
            return statement
        return seal_statement(statement, self.profile.signing_key)

    def recorded(self, sent: Envelope, message: evidence_pb2.Recorded) -> Recorded:
        """Read back a statement that was handed in, and verify its place in the log.

        Raises:
            SafeRoomError: `BAD_PROOF` or `BAD_SIGNATURE`: the room did not record these bytes.
        """
        recorded = recorded_from_proto(message)
        if recorded.statement.digest != sent.digest:
            raise SafeRoomError(Reason.BAD_PROOF, "the room recorded another statement")
        self.grounds.require_recorded(recorded)
        return recorded

    def pin(self, owner: str, root: str) -> None:
        """Pin an owner's charter root in the member's folder."""
        self.profile = self.profile.pin(owner, root)

    async def _fetch(self, digest: str) -> Envelope:
        ask = ledger_pb2.GetStatementRequest(digest=digest)
        told = await self.call(self.ledger.GetStatement, ask)
        return envelope_from_proto(told.recorded.statement)

    async def _fetch_charter(self, owner: str) -> Envelope:
        told = await self.call(self.owners.GetCharter, owner_pb2.GetCharterRequest(owner=owner))
        return envelope_from_proto(told.charter)


def _pause(refused: Refused, pauses: Pauses, now: float) -> float | None:
    """Tell how long to wait before the same call.

    Only what was refused unread is made again, and what waits for a record that is being fetched.
    """
    if refused.reason is Reason.SOURCE_PENDING:
        return pauses.next(PENDING_SECONDS, now)
    if refused.reason is not Reason.TOO_MANY_REQUESTS or refused.retry_seconds is None:
        return None
    return pauses.next(refused.retry_seconds, now)
