"""Calls of data owners: charters, schemas, features, pauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saferoom_client.session import Session
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.hpke import SealingKey
from saferoom_proto.pauses import Pauses, Stopped, Target
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.source_forms import SourceForms
from saferoom_proto.statements import (
    Endorsement,
    EvidenceClaims,
    Feature,
    FeatureTrial,
    Pause,
    Schema,
    load,
)
from saferoom_proto.statements.base import whole_milliseconds
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verdict import Verdict, open_verdict
from saferoom_proto.verification import (
    PinnedCharter,
    verify_by_any_approver,
    verify_by_named_approver,
)
from saferoom_proto.wire import Recorded, envelope_from_proto, envelope_to_proto

TRIAL_SECONDS: Final = 45.0
"""An enclave gives a trial 10 s, after whatever is under way."""


async def put_charter(session: Session, charter: Envelope) -> Recorded:
    """Hand in a charter that its root signed, the first or the next one.

    The root must be pinned in the member's folder before: what the room then answers is verified
    under it.
    """
    ask = owner_pb2.PutCharterRequest(charter=envelope_to_proto(charter))
    told = await session.call(session.owners.PutCharter, ask)
    return session.recorded(charter, told.recorded)


async def get_charter(session: Session, owner: str) -> PinnedCharter:
    """Fetch an owner's charter in force and verify it under the pinned root.

    Raises:
        SafeRoomError: `BAD_CHARTER` if it is not the owner's, or no root of the owner is pinned.
    """
    return await session.grounds.charter(owner)


async def get_endorsement(session: Session, owner: str) -> Endorsement:
    """Fetch the key agent's endorsement of an owner's enclave and verify that it is in force."""
    return (await get_endorsed(session, owner)).endorsement


@dataclass(frozen=True, slots=True)
class Endorsed:
    """An owner's enclave as its key agent endorsed it.

    Attributes:
        endorsement: in force.
        claims: what the enclave claimed then.
        snapshot: the newest that the room says the enclave has made since its start; not verified.
    """

    endorsement: Endorsement
    claims: EvidenceClaims
    snapshot: Envelope | None


async def get_endorsed(session: Session, owner: str) -> Endorsed:
    """Fetch and verify an endorsement with the claims it accepted.

    Raises:
        SafeRoomError: `BAD_ENDORSEMENT` if they are not the endorsed claims.
    """
    ask = owner_pb2.GetEndorsementRequest(owner=owner)
    told = await session.call(session.owners.GetEndorsement, ask)
    envelope, claims = envelope_from_proto(told.endorsement), envelope_from_proto(told.claims)
    session.grounds.keep(envelope)
    charter = await session.grounds.charter(owner, load(envelope, Endorsement).charter)
    endorsement = await session.grounds.endorsement(envelope.digest, charter, session.clock())
    if claims.digest != endorsement.evidence:
        raise SafeRoomError(Reason.BAD_ENDORSEMENT, "the claims are not those it endorses")
    snapshot = envelope_from_proto(told.snapshot) if told.HasField("snapshot") else None
    return Endorsed(endorsement, load(claims, EvidenceClaims), snapshot)


async def put_schema(session: Session, schema: Schema | Envelope) -> Recorded:
    """Hand in the tables of the owner's store, signed as an approver.

    Raises:
        SafeRoomError: `CONFLICT` if a source of the newest tables would change; nothing is signed.
    """
    if isinstance(schema, Schema) and len(schema.loaded) < len(schema.tables):
        newest = await get_schema(session)
        SourceForms([] if newest is None else [newest[0]]).require(schema)
    statement = session.sign(schema)
    ask = owner_pb2.PutSchemaRequest(schema=envelope_to_proto(statement))
    told = await session.call(session.owners.PutSchema, ask)
    return session.recorded(statement, told.recorded)


async def get_schema(session: Session) -> tuple[Schema, str] | None:
    """Fetch the newest tables of the member's own store, verified; gives their digest too."""
    told = await session.call(session.owners.GetSchema, owner_pb2.GetSchemaRequest())
    if not told.HasField("schema"):
        return None
    envelope = envelope_from_proto(told.schema)
    charter = await session.grounds.charter(session.owner)
    return verify_by_any_approver(envelope, charter, Schema), envelope.digest


async def put_feature(session: Session, feature: Feature | Envelope) -> Recorded:
    """Hand in a feature, or a new version of one, signed as an approver."""
    statement = session.sign(feature)
    ask = owner_pb2.PutFeatureRequest(feature=envelope_to_proto(statement))
    told = await session.call(session.owners.PutFeature, ask)
    return session.recorded(statement, told.recorded)


async def try_feature(session: Session, draft: Feature) -> Verdict:
    """Have the owner's enclave try a draft over its store; only this client can open the verdict.

    Raises:
        SafeRoomError: `LOCKED` or `UNAVAILABLE` if the enclave does not serve; `BAD_SEAL` if the
            answer is not sealed to this trial.
    """
    reply = SealingKey.generate()
    order = session.sign(
        FeatureTrial(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=session.profile.member.name,
            draft=draft,
            reply_key=b64(reply.public),
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = owner_pb2.TryDraftRequest(order=envelope_to_proto(order))
    told = await session.call(session.owners.TryDraft, ask, TRIAL_SECONDS)
    session.recorded(order, told.recorded)
    return open_verdict(told.sealed_verdict, reply, order.digest)


async def add_feature(session: Session, feature: Feature) -> Recorded:
    """Have a feature tried, and hand it in if the enclave takes it.

    Raises:
        SafeRoomError: `MALFORMED_SQL` with the rule and its place if the enclave would not.
    """
    verdict = await try_feature(session, feature)
    if verdict.fault is not None:
        fault = FieldFault("sql", verdict.fault)
        raise SafeRoomError(Reason.MALFORMED_SQL, f"{feature.full_name}: sql", [fault])
    return await put_feature(session, feature)


async def list_features(session: Session, owner: str = "") -> tuple[PinnedFeature, ...]:
    """List the newest version of every feature of an owner, or of all whose root is pinned.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` or `BAD_CHARTER` if one is not its owner's.
    """
    envelopes = await feature_statements(session, owner)
    return tuple(PinnedFeature(load(each, Feature), each.digest) for each in envelopes)


async def feature_statements(session: Session, owner: str = "") -> tuple[Envelope, ...]:
    """Give the statements that `list_features` lists, verified."""
    ask = owner_pb2.ListFeaturesRequest(owner=owner)
    told = await session.call(session.owners.ListFeatures, ask)
    pinned = session.profile.trust.charter_roots
    found: list[Envelope] = []
    charters: dict[str, PinnedCharter] = {}
    for message in told.features:
        envelope = envelope_from_proto(message)
        of = load(envelope, Feature).owner
        if owner and of != owner:
            raise SafeRoomError(Reason.BAD_PROOF, "the room listed another owner's feature")
        if not owner and of not in pinned:
            continue
        if of not in charters:
            charters[of] = await session.grounds.charter(of)
        session.grounds.feature(envelope, charters[of])
        found.append(envelope)
    return tuple(found)


async def pause(session: Session, why: str, template: str | None = None) -> Recorded:
    """Stop all use of the owner's store, or of one template by its digest, at once."""
    return await _pause(session, why, template, paused=True)


async def resume(session: Session, why: str, template: str | None = None) -> Recorded:
    """Say that use of the store, or of one template, may go on.

    It does once as many approvers have said so as approve; `stopped_uses` tells what is missing.
    """
    return await _pause(session, why, template, paused=False)


async def stopped_uses(session: Session, owner: str) -> dict[Target, Stopped]:
    """Tell which uses of an owner's store are stopped: all (none), or templates by their digests.

    Counted here from the approvers' signed words, under the owner's charter in force.
    """
    charter = await session.grounds.charter(owner)
    told = await session.call(session.owners.ListPauses, owner_pb2.ListPausesRequest(owner=owner))
    pauses = Pauses()
    for message in told.pauses:
        envelope = envelope_from_proto(message)
        pause, keyid = await _borne(session, envelope, charter)
        pauses.take(pause, keyid, pause.at)
    return pauses.stopped(charter)


async def _borne(session: Session, envelope: Envelope, charter: PinnedCharter) -> tuple[Pause, str]:
    """Open a pause under the newest charter that bears it; gives the key's id too.

    A stop outlives its approver.
    """
    while True:
        try:
            pause = verify_by_named_approver(envelope, charter, Pause)
        except SafeRoomError:
            if charter.charter.previous is None:
                raise
            charter = await session.grounds.charter(charter.charter.owner, charter.charter.previous)
        else:
            return pause, charter.key_of(pause.approver).keyid


async def _pause(session: Session, why: str, template: str | None, *, paused: bool) -> Recorded:
    member = session.profile.member
    statement = session.sign(
        Pause(
            room=session.profile.card.origin,
            owner=session.owner,
            approver=member.name,
            template=template,
            paused=paused,
            why=why,
            at=whole_milliseconds(session.clock()),
        )
    )
    ask = owner_pb2.PauseRequest(pause=envelope_to_proto(statement))
    told = await session.call(session.owners.Pause, ask)
    return session.recorded(statement, told.recorded)
