"""A key agent changes its keys: no step loses one, and none that was replaced is kept for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.agent.folder import CARD, AgentCard, KeyAgent
from saferoom_client.agent.heard import retire
from saferoom_client.agent.policy import appraise, release_keys
from saferoom_client.agent.rotation import (
    change_store_key,
    prepare_agent_keys,
    retire_store_key,
    under,
)
from saferoom_client.agent.slots import FileKeys, Slot
from saferoom_client.files import read_model
from saferoom_proto import chain
from saferoom_proto.encoding import b64, parse_object
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import keys_info
from saferoom_proto.statements import ChainLink, KeyChange
from saferoom_proto.store_key import name_of
from saferoom_proto.verification import verify_endorsement
from tests.client.agents import NONCE, OTHER, SOFTWARE, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "agent")


def released(scene: Scene) -> dict[str, object]:
    """Have the agent release its keys to the scene's enclave; give what it sealed."""
    scene.agent = under(KeyAgent.load(scene.agent.folder), scene.charter)
    accepted = appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)
    release = release_keys(scene.agent, accepted, scene.world.now())
    verify_endorsement(release.endorsement, scene.owner.charter, scene.world.now())
    info = keys_info(release.endorsement.digest)
    return parse_object(scene.sealing.open(release.sealed_keys, info=info))


def said(scene: Scene, key: bytes, previous: bytes) -> KeyChange:
    return KeyChange(
        room=scene.world.room,
        owner="tax",
        endorsement=OTHER,
        store_key=name_of(key),
        previous=name_of(previous),
        from_epoch=2,
        chain=ChainLink(index=0, previous=chain.GENESIS),
        time=scene.world.now(),
    )


def refusal(attempt: object) -> Reason:
    assert callable(attempt)
    with pytest.raises(SafeRoomError) as refused:
        attempt()
    return refused.value.reason


def test_both_store_keys_are_released_until_the_former_one_is_retired(scene: Scene) -> None:
    former = scene.agent.store_key
    assert "earlier_store_key" not in released(scene)
    changed = change_store_key(scene.agent)
    assert changed.store_key != former
    assert changed.earlier_key == former
    keys = released(scene)
    assert keys["store_key"] == b64(changed.store_key)
    assert keys["earlier_store_key"] == b64(former)
    retire_store_key(changed, said(scene, changed.store_key, former))
    assert "earlier_store_key" not in released(scene)
    held = [path.read_bytes() for path in scene.agent.folder.rglob("*") if path.is_file()]
    assert not any(former in each for each in held)


async def test_what_needs_no_word_of_the_enclaves_needs_no_room(scene: Scene) -> None:
    with pytest.raises(SafeRoomError, match="there is no former store key"):
        await retire(scene.agent)
    scene.agent.source.copy(Slot.STORE, Slot.STORE_BEFORE)  # a change that was cut off there
    assert await retire(KeyAgent.load(scene.agent.folder)) is None
    assert not scene.agent.source.has(Slot.STORE_BEFORE)


def test_the_former_key_is_kept_while_the_enclave_has_not_gone_over(scene: Scene) -> None:
    former = scene.agent.store_key
    assert refusal(lambda: retire_store_key(scene.agent, None)) is Reason.CONFLICT
    changed = change_store_key(scene.agent)
    assert refusal(lambda: change_store_key(changed)) is Reason.CONFLICT
    for word in (None, said(scene, former, bytes(32)), said(scene, bytes(32), former)):
        assert refusal(lambda word=word: retire_store_key(changed, word)) is Reason.CONFLICT
    assert KeyAgent.load(scene.agent.folder).earlier_key == former


@pytest.mark.parametrize("step", ["copy", "make"])
def test_a_change_that_is_cut_off_loses_no_key(
    scene: Scene, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = scene.agent.store_key

    def cut_off(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileKeys, step, cut_off)
        with pytest.raises(OSError, match="No space"):
            change_store_key(scene.agent)
    left = KeyAgent.load(scene.agent.folder)
    assert left.store_key == former
    if left.earlier_key is not None:
        assert left.earlier_key == former
        retire_store_key(left, None)
    assert change_store_key(KeyAgent.load(scene.agent.folder)).earlier_key == former


def test_the_agents_own_keys_change_with_the_charter_that_names_them(scene: Scene) -> None:
    before = scene.agent.card
    card = prepare_agent_keys(scene.agent)
    assert read_model(scene.agent.folder / CARD, AgentCard) == card
    assert card.key_agent != before.key_agent
    assert card.pairing != before.pairing
    # Until a charter names them, the former ones count; the card stays what it is.
    released(scene)
    assert scene.agent.card == before
    assert prepare_agent_keys(scene.agent) == card
    scene.owner.adopt(key_agent=card.key_agent, pairing=card.pairing)
    keys = released(scene)
    assert scene.agent.card == card
    assert keys["pairing_key"] == b64(scene.agent.pairing_key)
    source = scene.agent.source
    assert not any(source.has(slot) for slot in (Slot.AGENT_NEXT, Slot.PAIRING_NEXT))


def test_a_change_of_its_own_keys_that_is_cut_off_is_finished(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = prepare_agent_keys(scene.agent)
    scene.owner.adopt(key_agent=card.key_agent, pairing=card.pairing)
    move = FileKeys.move

    def once(self: FileKeys, source: Slot, target: Slot) -> None:
        if target is Slot.PAIRING:
            raise OSError(5, "Input/output error")
        move(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(FileKeys, "move", once)
        with pytest.raises(OSError, match="Input/output"):
            under(scene.agent, scene.charter)
    assert released(scene)
    assert scene.agent.card == card


def test_a_charter_of_another_root_changes_no_key(scene: Scene) -> None:
    before = scene.agent.card
    card = prepare_agent_keys(scene.agent)
    stranger = scene.world.owner("court", key_agent=card.key_agent, pairing=card.pairing)
    assert refusal(lambda: under(scene.agent, stranger.charters[-1])) is Reason.BAD_CHARTER
    scene.owner.adopt(key_agent=card.key_agent, pairing=before.pairing)  # half of it
    assert under(scene.agent, scene.charter).card == before


def test_no_key_shows_in_a_text_form(scene: Scene) -> None:
    changed = change_store_key(scene.agent)
    assert changed.earlier_key is not None
    for key in (changed.store_key, changed.earlier_key, changed.pairing_key):
        assert key.hex() not in repr(changed)
        assert repr(key) not in repr(changed)
