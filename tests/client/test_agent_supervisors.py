"""An enclave gets its key only if the owner's own supervisor started it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.agent.folder import KeyAgent
from saferoom_client.agent.policy import appraise
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    EvidenceClaims,
    Launch,
    load,
    seal_statement,
)
from tests.client.agents import NONCE, OTHER, SOFTWARE, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "agent")


def launch_of(scene: Scene, key: SigningKey, **changes: object) -> Envelope:
    claims = load(scene.claims(), EvidenceClaims)
    fields = {name: getattr(claims, name) for name in Launch.model_fields if name != "time"}
    says = Launch.model_validate(fields | {"time": scene.world.now()} | changes)
    return seal_statement(says, key)


def test_an_enclave_that_the_owners_supervisor_started_gets_its_key(scene: Scene) -> None:
    key = SigningKey.generate()
    scene.agent.require([key.verify_key.public])
    scene.agent = KeyAgent.load(scene.agent.folder)
    launch = launch_of(scene, key)
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter, launch=launch)
    assert accepted.claims.identity == scene.identity.verify_key.public


@pytest.mark.parametrize("name", ["identity", "sealing", "tls", "charter", "code", "dependencies"])
def test_the_word_for_another_enclave_than_claims_gives_no_key(scene: Scene, name: str) -> None:
    """The server has a true word of an honest start, and an enclave of its own."""
    key = SigningKey.generate()
    scene.agent.require([key.verify_key.public])
    scene.agent = KeyAgent.load(scene.agent.folder)
    other = SigningKey.generate().verify_key.public if name in {"identity", "sealing"} else OTHER
    with pytest.raises(SafeRoomError, match=f"another {name}") as refused:
        appraise(
            scene.agent,
            scene.claims(),
            SOFTWARE,
            NONCE,
            scene.charter,
            launch=launch_of(scene, key, **{name: other}),
        )
    assert refused.value.reason is Reason.BAD_EVIDENCE


def test_a_supervisor_of_no_account_or_none_gives_no_key(scene: Scene) -> None:
    scene.agent.require([SigningKey.generate().verify_key.public])
    scene.agent = KeyAgent.load(scene.agent.folder)
    for launch in (None, launch_of(scene, SigningKey.generate())):
        with pytest.raises(SafeRoomError) as refused:
            appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter, launch=launch)
        assert refused.value.reason is Reason.BAD_EVIDENCE
