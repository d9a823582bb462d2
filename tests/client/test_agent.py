"""The key agent: what it accepts, what it refuses, and what it remembers before it gives."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from saferoom_client.agent import attend as attending
from saferoom_client.agent.attend import attend, read_evidence
from saferoom_client.agent.folder import AgentState, KeyAgent
from saferoom_client.agent.policy import appraise, release_keys
from saferoom_client.events import Event, Happening
from saferoom_client.issuer import Issuer, enrol_member
from saferoom_client.profile import Member
from saferoom_client.session import utc_now
from saferoom_proto.encoding import b64, parse_object, unb64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import keys_info
from saferoom_proto.statements import (
    ChainLink,
    Charter,
    Endorsement,
    load,
    seal_statement,
)
from saferoom_proto.v1 import owner_pb2
from saferoom_proto.verification import verify_endorsement
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto
from tests.client.agents import CODE, DEPENDENCIES, NONCE, OTHER, SOFTWARE, Scene
from tests.client.fakeroom import Said, serving


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "agent")


def test_an_accepted_enclave_gets_its_keys_and_an_endorsement_that_verifies(scene: Scene) -> None:
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)
    released = release_keys(scene.agent, accepted, scene.world.now())
    endorsement = verify_endorsement(released.endorsement, scene.owner.charter, scene.world.now())
    assert endorsement.identity == scene.identity.verify_key.public
    assert endorsement.evidence == scene.claims().digest
    assert endorsement.previous is None
    again = release_keys(scene.agent, accepted, scene.world.now())
    assert load(again.endorsement, Endorsement).previous == released.endorsement.digest
    info = keys_info(released.endorsement.digest)
    keys = parse_object(scene.sealing.open(released.sealed_keys, info=info))
    assert keys == {
        "store_key": b64(scene.agent.store_key),
        "pairing_key": b64(scene.agent.pairing_key),
    }


def test_the_keys_open_under_that_endorsement_only(scene: Scene) -> None:
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)
    released = release_keys(scene.agent, accepted, scene.world.now())
    with pytest.raises(SafeRoomError) as refused:
        scene.sealing.open(released.sealed_keys, info=keys_info(OTHER))
    assert refused.value.reason is Reason.BAD_SEAL


def test_the_state_is_on_the_disk_before_the_release_is_made(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = ChainLink(index=7, previous=CODE)
    accepted = appraise(scene.agent, scene.claims(chain=link), SOFTWARE, NONCE, scene.charter)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(SafeRoomError, match="No space") as refused:
        release_keys(scene.agent, accepted, scene.world.now())
    assert refused.value.reason is Reason.BAD_CONFIG
    assert scene.agent.state() == AgentState()
    monkeypatch.undo()
    release_keys(scene.agent, accepted, scene.world.now())
    state = KeyAgent.load(scene.agent.folder).state()
    assert (state.charter_version, state.chain) == (1, link)


def test_a_charter_of_another_root_is_refused(scene: Scene) -> None:
    charter = load(scene.charter, Charter)
    key = SigningKey.generate()
    other = seal_statement(charter.model_copy(update={"root": key.verify_key.public}), key)
    claims = scene.claims(charter=other.digest)
    assert scene.reason(claims, charter=other) is Reason.BAD_CHARTER
    forged = seal_statement(charter, key)
    assert scene.reason(scene.claims(), charter=forged) is Reason.BAD_CHARTER


def test_an_enclave_under_another_charter_is_refused(scene: Scene) -> None:
    assert scene.reason(scene.claims(charter=OTHER)) is Reason.BAD_CHARTER


def test_a_charter_that_names_another_agent_is_refused(scene: Scene) -> None:
    other = scene.owner.adopt(key_agent=SigningKey.generate().verify_key.public)
    assert scene.reason(scene.claims(), charter=other) is Reason.BAD_CHARTER


def test_an_older_charter_is_refused(scene: Scene) -> None:
    first = scene.charter
    scene.owner.adopt(**scene.named)
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)
    release_keys(scene.agent, accepted, scene.world.now())
    claims = scene.claims(charter=first.digest)
    assert scene.reason(claims, charter=first) is Reason.BAD_CHARTER


def test_a_second_charter_of_the_same_version_is_refused(scene: Scene) -> None:
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)
    release_keys(scene.agent, accepted, scene.world.now())
    charter = load(scene.charter, Charter).model_copy(update={"max_head_age_seconds": 3600})
    fork = seal_statement(charter, scene.owner.root)
    assert scene.reason(scene.claims(charter=fork.digest), charter=fork) is Reason.BAD_CHARTER


def test_what_the_owner_accepts_later_gets_its_key(scene: Scene) -> None:
    claims = scene.claims(code=OTHER)
    assert scene.reason(claims) is Reason.BAD_EVIDENCE
    policy = scene.agent.accept([OTHER, CODE], [DEPENDENCIES])
    assert (policy.code, policy.dependencies) == ((CODE, OTHER), (DEPENDENCIES,))
    scene.agent = KeyAgent.load(scene.agent.folder)
    assert appraise(scene.agent, claims, SOFTWARE, NONCE, scene.charter).claims.code == OTHER


@pytest.mark.parametrize("name", ["code", "dependencies"])
def test_other_code_gets_no_key(scene: Scene, name: str) -> None:
    assert scene.reason(scene.claims(**{name: OTHER})) is Reason.BAD_EVIDENCE


def test_another_owners_or_rooms_enclave_gets_no_key(scene: Scene) -> None:
    assert scene.reason(scene.claims(owner="court")) is Reason.BAD_EVIDENCE
    assert scene.reason(scene.claims(room="other.example")) is Reason.BAD_EVIDENCE


def test_a_weaker_sandbox_than_the_charter_asks_for_gets_no_key(scene: Scene) -> None:
    scene.owner.adopt(min_sandbox_level=3, **scene.named)
    assert scene.reason(scene.claims()) is Reason.SANDBOX_TOO_WEAK


def test_nobody_accepts_an_endorsement_below_the_charters_sandbox_level(scene: Scene) -> None:
    """A key agent that was talked into it endorses in vain: every verifier looks for itself."""
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)
    released = release_keys(scene.agent, accepted, scene.world.now())
    scene.owner.adopt(min_sandbox_level=3, **scene.named)
    endorsed = load(released.endorsement, Endorsement)
    strict = scene.owner.charter
    weak = seal_statement(
        endorsed.model_copy(update={"charter": strict.digest}), scene.agent.signing
    )
    with pytest.raises(SafeRoomError) as refused:
        verify_endorsement(weak, strict, scene.world.now())
    assert refused.value.reason is Reason.SANDBOX_TOO_WEAK


def test_a_shorter_chain_than_was_seen_is_a_rollback(scene: Scene) -> None:
    seen = scene.claims(chain=ChainLink(index=9, previous=CODE))
    accepted = appraise(scene.agent, seen, SOFTWARE, NONCE, scene.charter)
    release_keys(scene.agent, accepted, scene.world.now())
    shorter = scene.claims(chain=ChainLink(index=8, previous=CODE))
    assert scene.reason(shorter) is Reason.STORE_ROLLED_BACK
    other = scene.claims(chain=ChainLink(index=9, previous=OTHER))
    assert scene.reason(other) is Reason.STORE_ROLLED_BACK
    longer = scene.claims(chain=ChainLink(index=10, previous=OTHER))
    assert appraise(scene.agent, longer, SOFTWARE, NONCE, scene.charter).claims.chain.index == 10


def test_claims_that_their_key_did_not_sign_are_refused(scene: Scene) -> None:
    claims = scene.claims(SigningKey.generate())
    assert scene.reason(claims) is Reason.BAD_SIGNATURE


def test_evidence_for_another_challenge_is_refused(scene: Scene) -> None:
    assert scene.reason(scene.claims(), nonce=bytes(32)) is Reason.BAD_EVIDENCE


@pytest.mark.parametrize("kind", ["tdx", "sev-snp", "csv"])
def test_hardware_evidence_is_refused_where_nobody_can_verify_it(
    scene: Scene, tmp_path: Path, kind: str
) -> None:
    evidence = read_evidence(kind, b"quote")
    assert scene.reason(scene.claims(), evidence=evidence) is Reason.BAD_EVIDENCE
    policy = scene.policy.model_copy(update={"evidence_kinds": (kind,)})
    demanding = KeyAgent(tmp_path, policy, scene.agent.signing, bytes(32), bytes(32))
    demanding.keep_state(AgentState())
    scene.agent = KeyAgent(
        tmp_path, policy, scene.agent.signing, scene.agent.store_key, scene.agent.pairing_key
    )
    assert scene.reason(scene.claims(), evidence=evidence) is Reason.BAD_EVIDENCE


def test_software_evidence_never_passes_a_policy_that_asks_for_hardware(
    scene: Scene, tmp_path: Path
) -> None:
    policy = scene.policy.model_copy(update={"evidence_kinds": ("tdx",)})
    scene.agent = KeyAgent(
        tmp_path, policy, scene.agent.signing, scene.agent.store_key, scene.agent.pairing_key
    )
    scene.agent.keep_state(AgentState())
    assert scene.reason(scene.claims()) is Reason.BAD_EVIDENCE


def test_an_unknown_kind_of_evidence_is_refused() -> None:
    with pytest.raises(SafeRoomError) as refused:
        read_evidence("hearsay", b"")
    assert refused.value.reason is Reason.BAD_EVIDENCE


def test_an_agent_is_not_made_twice_in_one_folder(scene: Scene) -> None:
    with pytest.raises(SafeRoomError) as refused:
        KeyAgent.create(scene.agent.folder, scene.policy)
    assert refused.value.reason is Reason.BAD_CONFIG
    assert KeyAgent.load(scene.agent.folder).store_key == scene.agent.store_key


@pytest.mark.parametrize("name", ["agent.key", "store.key", "pairing.key"])
def test_a_key_that_others_may_read_is_refused(scene: Scene, name: str) -> None:
    path = scene.agent.folder / name
    path.chmod(0o644)
    with pytest.raises(SafeRoomError) as refused:
        KeyAgent.load(scene.agent.folder)
    assert name in refused.value.fields[0].field
    assert "0600" in refused.value.fields[0].rule


def test_no_text_form_shows_a_key(scene: Scene) -> None:
    shown = repr(scene.agent)
    assert scene.agent.store_key.hex() not in shown
    assert repr(scene.agent.store_key) not in shown


Messages = AsyncIterator[owner_pb2.AttendKeysRequest]
Replies = AsyncIterator[owner_pb2.AttendKeysResponse]


class Desk:
    """The room's side of the exchange, with whatever evidence a test has."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.evidence: Callable[[bytes], list[owner_pb2.KeyEvidence]] = self.honest
        self.heard: list[owner_pb2.AttendKeysRequest] = []

    def honest(self, nonce: bytes) -> list[owner_pb2.KeyEvidence]:
        claims = envelope_to_proto(self.scene.claims(nonce=b64(nonce)))
        return [owner_pb2.KeyEvidence(task="1", claims=claims, kind="software")]

    async def __call__(self, messages: Messages) -> Replies:
        wanted = owner_pb2.KeyWanted(task="1", owner="tax")
        yield owner_pb2.AttendKeysResponse(wanted=wanted)
        challenge = await anext(messages)
        for evidence in self.evidence(challenge.challenge.nonce):
            yield owner_pb2.AttendKeysResponse(evidence=evidence)
            self.heard.append(await anext(messages))


@pytest.fixture
async def desk(
    scene: Scene, said: Said, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    monkeypatch.setattr(attending, "FIRST_PAUSE_SECONDS", 0.01)
    said.case = replace(said.case, world=scene.world)
    desk = Desk(scene)
    said.attendance = desk
    async with serving(said, issuer) as card:
        member = Member(organisation="tax", name="key-agent")
        enrol_member(issuer, scene.agent.profile_folder, card, member, utc_now())
        yield desk


class Enough(Exception):  # noqa: N818 - it ends a wait, and is no error
    """The agent has been heard long enough."""


async def attended(scene: Scene, until: Happening, times: int = 1) -> list[Event]:
    """Let the agent attend until something has happened so often."""
    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        if sum(each.what is until for each in events) == times:
            raise Enough

    with pytest.raises(Enough):
        await attend(scene.agent, on_event=note, clock=scene.world.now)
    return events


async def test_the_agent_answers_the_rooms_call(scene: Scene, desk: Desk) -> None:
    events = await attended(scene, Happening.DISCONNECTED)
    assert [event.what for event in events[:2]] == [Happening.ATTENDING, Happening.RELEASED]
    (released,) = desk.heard
    endorsement = envelope_from_proto(released.release.endorsement)
    verify_endorsement(endorsement, scene.owner.charter, scene.world.now())
    assert scene.agent.state().charter_version == 1


async def test_the_agent_takes_a_lost_line_up_again(scene: Scene, desk: Desk) -> None:
    events = await attended(scene, Happening.RELEASED, times=3)
    assert sum(event.what is Happening.DISCONNECTED for event in events) == 2


async def test_evidence_that_comes_twice_gets_one_key(scene: Scene, desk: Desk) -> None:
    desk.evidence = lambda nonce: desk.honest(nonce) * 2
    await attended(scene, Happening.DISCONNECTED)
    first, second = desk.heard
    assert first.WhichOneof("message") == "release"
    assert second.WhichOneof("message") == "refusal"
    assert "no open challenge" in second.refusal.why


async def test_a_refusal_says_why_and_keeps_the_line(scene: Scene, desk: Desk) -> None:
    def altered(nonce: bytes) -> list[owner_pb2.KeyEvidence]:
        claims = envelope_to_proto(scene.claims(nonce=b64(nonce), code=OTHER))
        return [owner_pb2.KeyEvidence(task="1", claims=claims, kind="software")]

    desk.evidence = altered
    events = await attended(scene, Happening.DISCONNECTED)
    assert events[1].what is Happening.REFUSED
    (refused,) = desk.heard
    assert refused.refusal.why.startswith("BAD_EVIDENCE: code")
    assert unb64(scene.agent.card.pairing)
    assert scene.agent.state() == AgentState()


async def test_an_agent_of_another_organisation_gives_up(
    scene: Scene, desk: Desk, tmp_path: Path, issuer: Issuer
) -> None:
    policy = scene.policy.model_copy(update={"owner": "court"})
    other = KeyAgent.create(tmp_path / "court", policy)
    scene.agent.profile_folder.rename(other.profile_folder)
    with pytest.raises(SafeRoomError) as refused:
        await attend(other)
    assert refused.value.reason is Reason.NOT_ALLOWED
