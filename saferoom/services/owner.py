"""OwnerService: what a data owner brings, and its key agent."""

# ruff: noqa: ARG002, N802 - the names and signatures are the contract's

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from saferoom import rules, wire
from saferoom.identity import current_caller
from saferoom.keydesk import KeyDesk, KeyOffer, Seat
from saferoom.links import Links
from saferoom.loads import Loads
from saferoom.recoveries import Recoveries
from saferoom.register import Register
from saferoom.statements import Statements
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FeatureTrial, load
from saferoom_proto.v1 import owner_pb2, owner_pb2_grpc
from saferoom_proto.wire import envelope_to_proto


class OwnerService(owner_pb2_grpc.OwnerServiceServicer):
    """Takes owners' statements and loads, and seats their key agents."""

    def __init__(
        self,
        *,
        register: Register,
        statements: Statements,
        links: Links,
        loads: Loads,
        desk: KeyDesk,
        recoveries: Recoveries,
    ) -> None:
        self._register: Final = register
        self._statements: Final = statements
        self._links: Final = links
        self._loads: Final = loads
        self._desk: Final = desk
        self._versions: Final = recoveries.versions
        self._recoveries: Final = recoveries

    async def PutCharter(
        self, request: owner_pb2.PutCharterRequest, context: object
    ) -> owner_pb2.PutCharterResponse:
        """Record a charter."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.charter), rules.CHARTER
        )
        return owner_pb2.PutCharterResponse(recorded=wire.recorded(recorded))

    async def GetCharter(
        self, request: owner_pb2.GetCharterRequest, context: object
    ) -> owner_pb2.GetCharterResponse:
        """Give an owner's charter in force, and how its root came to sign."""
        held = self._register.charter_statement(request.owner)
        handovers = [
            wire.recorded(await self._statements.recorded(each))
            for each in self._register.root_handovers(request.owner)
        ]
        return owner_pb2.GetCharterResponse(
            charter=envelope_to_proto(held.envelope), handovers=handovers
        )

    async def HandOverRoot(
        self, request: owner_pb2.HandOverRootRequest, context: object
    ) -> owner_pb2.HandOverRootResponse:
        """Record that another root signs the owner's charters from now on."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.handover), rules.ROOT_HANDOVER
        )
        return owner_pb2.HandOverRootResponse(recorded=wire.recorded(recorded))

    async def PutSchema(
        self, request: owner_pb2.PutSchemaRequest, context: object
    ) -> owner_pb2.PutSchemaResponse:
        """Record a schema."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.schema), rules.SCHEMA
        )
        return owner_pb2.PutSchemaResponse(recorded=wire.recorded(recorded))

    async def GetSchema(
        self, request: owner_pb2.GetSchemaRequest, context: object
    ) -> owner_pb2.GetSchemaResponse:
        """Give the newest schema of the caller's own store."""
        held = self._register.newest_schema(current_caller().organisation)
        if held is None:
            return owner_pb2.GetSchemaResponse()
        return owner_pb2.GetSchemaResponse(schema=envelope_to_proto(held.envelope))

    async def PutFeature(
        self, request: owner_pb2.PutFeatureRequest, context: object
    ) -> owner_pb2.PutFeatureResponse:
        """Record a feature."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.feature), rules.FEATURE
        )
        return owner_pb2.PutFeatureResponse(recorded=wire.recorded(recorded))

    async def TryDraft(
        self, request: owner_pb2.TryDraftRequest, context: object
    ) -> owner_pb2.TryDraftResponse:
        """Record who tries a draft, and bring back the verdict that only they can open."""
        order = wire.envelope(request.order)
        session = self._links.serving(load(order, FeatureTrial).owner)
        recorded = await self._statements.accept(current_caller(), order, rules.FEATURE_TRIAL)
        verdict = await session.try_feature(order)
        return owner_pb2.TryDraftResponse(recorded=wire.recorded(recorded), sealed_verdict=verdict)

    async def ListFeatures(
        self, request: owner_pb2.ListFeaturesRequest, context: object
    ) -> owner_pb2.ListFeaturesResponse:
        """List the newest version of every feature."""
        held = self._register.features(request.owner)
        return owner_pb2.ListFeaturesResponse(
            features=wire.envelopes(each.envelope for each in held)
        )

    async def Pause(
        self, request: owner_pb2.PauseRequest, context: object
    ) -> owner_pb2.PauseResponse:
        """Record a pause or its end."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.pause), rules.PAUSE
        )
        return owner_pb2.PauseResponse(recorded=wire.recorded(recorded))

    async def ListPauses(
        self, request: owner_pb2.ListPausesRequest, context: object
    ) -> owner_pb2.ListPausesResponse:
        """List an owner's pauses and the words for their end."""
        held = self._register.pauses(request.owner)
        return owner_pb2.ListPausesResponse(pauses=wire.envelopes(each.envelope for each in held))

    async def RecoverEnclave(
        self, request: owner_pb2.RecoverEnclaveRequest, context: object
    ) -> owner_pb2.RecoverEnclaveResponse:
        """Record an approver's word on an older copy of the enclave."""
        recorded = await self._statements.accept(
            current_caller(), wire.envelope(request.recovery), rules.RECOVERY
        )
        return owner_pb2.RecoverEnclaveResponse(recorded=wire.recorded(recorded))

    async def GetEnclaveChain(
        self, request: owner_pb2.GetEnclaveChainRequest, context: object
    ) -> owner_pb2.GetEnclaveChainResponse:
        """Tell where the chain of the caller's enclave ends."""
        return wire.chain_response(await self._recoveries.ends(current_caller().organisation))

    async def GetEndorsement(
        self, request: owner_pb2.GetEndorsementRequest, context: object
    ) -> owner_pb2.GetEndorsementResponse:
        """Give the endorsement of an owner's enclave in force."""
        session = self._links.serving(request.owner)
        if session.endorsed is None:
            raise SafeRoomError(Reason.LOCKED, f"the enclave of {request.owner}")
        if current_caller().organisation != request.owner:
            return wire.endorsement_response(session.endorsed, None, None)
        key_change = await self._versions.newest_key_change(request.owner)
        return wire.endorsement_response(session.endorsed, session.snapshot, key_change)

    async def GetEvidence(
        self, request: owner_pb2.GetEvidenceRequest, context: object
    ) -> owner_pb2.GetEvidenceResponse:
        """Have an owner's enclave give evidence for the caller's challenge."""
        session = self._links.serving(request.owner)
        attested = await session.show_evidence(request.nonce)
        if session.endorsed is None:
            raise SafeRoomError(Reason.LOCKED, f"the enclave of {request.owner}")
        return wire.evidence_response(attested, session.endorsed)

    async def LoadData(
        self, request_iterator: AsyncIterator[owner_pb2.LoadDataRequest], context: object
    ) -> owner_pb2.LoadDataResponse:
        """Pass a load on to its owner's enclave."""
        loaded, snapshot = await self._loads.load(current_caller(), request_iterator)
        return wire.load_response(snapshot, loaded.sealed_faults)

    async def GetLoadProgress(
        self, request: owner_pb2.GetLoadProgressRequest, context: object
    ) -> owner_pb2.GetLoadProgressResponse:
        """Tell how much has arrived of a load that broke off."""
        kept = await self._loads.progress(current_caller(), request.header)
        return owner_pb2.GetLoadProgressResponse(kept=kept)

    async def Rollback(
        self, request: owner_pb2.RollbackRequest, context: object
    ) -> owner_pb2.RollbackResponse:
        """Have the owner's enclave go back to an earlier snapshot."""
        snapshot = await self._loads.rollback(current_caller(), wire.envelope(request.order))
        return owner_pb2.RollbackResponse(snapshot=wire.recorded(snapshot))

    async def ListSnapshots(
        self, request: owner_pb2.ListSnapshotsRequest, context: object
    ) -> owner_pb2.ListSnapshotsResponse:
        """List the snapshots of the caller's own store."""
        versions = await self._versions.of(current_caller().organisation)
        return wire.snapshots_response(versions)

    async def ListStores(
        self, request: owner_pb2.ListStoresRequest, context: object
    ) -> owner_pb2.ListStoresResponse:
        """Tell what each owner has brought."""
        held = [await self._versions.newest(owner) for owner in self._register.owners]
        return wire.stores_response([each for each in held if each is not None])

    async def AttendKeys(
        self, request_iterator: AsyncIterator[owner_pb2.AttendKeysRequest], context: object
    ) -> AsyncIterator[owner_pb2.AttendKeysResponse]:
        """Seat an owner's key agent while its stream is open."""
        with self._desk.attend(current_caller()) as seat:
            offered = self._desk.offered(seat.caller.organisation)
            hearing = asyncio.create_task(_hear(request_iterator, seat, offered))
            try:
                async for message in seat.told():
                    yield wire.to_agent(message)
            finally:
                hearing.cancel()


async def _hear(
    messages: AsyncIterator[owner_pb2.AttendKeysRequest], seat: Seat, offered: asyncio.Event
) -> None:
    """Take what an agent says until it ends or breaks off; then it leaves its seat."""
    try:
        async for message in messages:
            said = wire.from_agent(message)
            if isinstance(said, KeyOffer):
                offered.set()
            else:
                seat.hear(said)
    finally:
        seat.leave()
