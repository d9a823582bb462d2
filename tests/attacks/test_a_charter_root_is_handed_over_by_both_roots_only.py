"""A charter root hands over once, by its own hand, from the charter in force on; then it is done.

Whoever stole a root, or runs the room, tries everything else here: at the enclave, at the owner's
key agent and supervisor, and at members.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from saferoom_client.agent.folder import KeyAgent
from saferoom_client.agent.policy import appraise
from saferoom_client.premises.exchange import CHARTER
from saferoom_client.premises.home import Home, HomeConfig
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import EnclaveHarness, Sample, SimOwner
from tests.client.agents import NONCE, SOFTWARE, Scene

THIEF = SigningKey.generate()


def renewed(room: Sample, enclave: EnclaveHarness) -> None:
    """Have the enclave unlocked under the charter now in force, and its template approved."""
    enclave.follow()
    enclave.unlock()
    room.tax.approve(room.steady.template, room.steady.certificate.digest)
    enclave.follow()


def stolen_by(room: Sample, **changes: object) -> Envelope:
    """Give the next charter of the tax office as it is signed by the root that it names."""
    root, room.tax.root = room.tax.root, THIEF
    try:
        return room.tax.next_charter(**changes)
    finally:
        room.tax.root = root


def test_a_root_is_handed_over_while_every_question_is_answered(
    room: Sample, enclave: EnclaveHarness
) -> None:
    tax, former = room.tax, room.tax.root
    assert enclave.ask(room.question()).truth is Truth.YES
    tax.hand_over()
    enclave.follow()
    # The charter in force is the former root's, and stays in force.
    assert enclave.ask(room.question()).truth is Truth.YES
    enclave.restart()
    assert enclave.ask(room.question()).truth is Truth.YES
    # The next one is the new root's, and none of the former root's has an effect any more.
    following, tax.root = tax.root, former
    room.world.publish(tax.next_charter(), "tax")
    tax.root = following
    enclave.follow()
    assert enclave.enclave.charter == tax.charter
    assert enclave.ask(room.question()).truth is Truth.YES
    tax.adopt()
    renewed(room, enclave)
    assert enclave.enclave.charter == tax.charter
    assert enclave.ask(room.question()).truth is Truth.YES
    # Started anew under the new root's charter, it follows the stream through the former root's.
    enclave.restart()
    assert enclave.enclave.charter == tax.charter
    assert enclave.ask(room.question()).truth is Truth.YES
    tax.pause()
    enclave.follow()
    assert enclave.ask(room.question()).reason is Reason.PAUSED


def test_a_stop_by_an_approver_of_before_counts_in_an_enclave_that_begins_under_the_new_root(
    room: Sample, tmp_path: Path
) -> None:
    tax = room.tax
    tax.pause(approver="wang")
    tax.hand_over()
    tax.adopt(approvers=tax.charter.charter.approvers[:2])
    tax.approve(room.steady.template, room.steady.certificate.digest)
    fresh = EnclaveHarness(tax, tmp_path)
    try:
        assert fresh.enclave.charter == tax.charter
        # Who stopped it is no approver any more; the charter of that time says that it was one.
        assert fresh.ask(room.question()).reason is Reason.PAUSED
    finally:
        fresh.close()


ATTEMPTS: list[Callable[[Sample], Envelope]] = [
    # By one key only, or by an approver in place of a root.
    lambda room: room.tax.handover(THIEF, THIEF),
    lambda room: room.tax.handover(THIEF, room.tax.root),
    lambda room: room.tax.handover(THIEF, room.tax.approvers["chen"], THIEF),
    lambda room: room.tax.handover(THIEF, room.tax.key_agent, THIEF),
    # Of a root that never was the owner's.
    lambda room: room.tax.handover(
        THIEF,
        room.court.root,
        THIEF,
        former=room.court.root.verify_key.public,
    ),
    # Another owner's, delivered here; and one of another room.
    lambda room: room.court.handover(THIEF),
    lambda room: room.tax.handover(THIEF, room="other.example"),
    # From a version that is past or to come, or after another charter.
    lambda room: room.tax.handover(THIEF, version=5),
    lambda room: room.tax.handover(THIEF, previous=room.court.charters[0].digest),
    # To a key that the charter names for something else.
    lambda room: room.tax.handover(room.tax.approvers["chen"]),
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_other_handover_has_an_effect_at_the_enclave(
    room: Sample, enclave: EnclaveHarness, attempt: Callable[[Sample], Envelope]
) -> None:
    room.world.publish(attempt(room), "tax")
    room.world.publish(stolen_by(room), "tax")
    enclave.follow()
    assert enclave.enclave.charter == room.tax.charter
    assert enclave.ask(room.question()).truth is Truth.YES
    # It stands in nobody's way: the owner's own handover counts.
    room.tax.hand_over()
    room.tax.adopt()
    renewed(room, enclave)
    assert enclave.enclave.charter == room.tax.charter


def test_of_two_handovers_of_one_root_the_first_counts_and_a_replayed_one_is_past(
    room: Sample, enclave: EnclaveHarness
) -> None:
    tax = room.tax
    rival = tax.handover(THIEF)
    first = tax.hand_over()
    room.world.publish(rival, "tax")
    room.world.publish(stolen_by(room), "tax")
    enclave.follow()
    assert enclave.enclave.charter == tax.charter
    tax.adopt()
    renewed(room, enclave)
    for again in (first, rival):
        room.world.publish(again, "tax")
    room.world.publish(stolen_by(room), "tax")
    enclave.follow()
    assert enclave.enclave.charter == tax.charter
    assert enclave.ask(room.question()).truth is Truth.YES


def test_charters_that_lead_past_the_one_it_started_with_are_not_followed(
    room: Sample, tmp_path: Path
) -> None:
    tax = room.tax
    tax.hand_over()
    tax.adopt()
    # A stream of the server's own making, under a root of its own, up to a later version.
    forged = SimOwner("tax", room.world)
    forged.root = THIEF
    stream = room.world.streams["tax"]
    del stream.statements[:], stream.running[1:]
    for _ in range(3):
        made = forged.next_charter()
        forged.charters.append(made)
        stream.append(made)
    fresh = EnclaveHarness(tax, tmp_path)
    try:
        assert fresh.enclave.charter == tax.charter
    finally:
        fresh.close()


# The owner's key agent and supervisor.


def accepts(scene: Scene) -> None:
    scene.agent = KeyAgent.load(scene.agent.folder)
    appraise(scene.agent, scene.claims(), SOFTWARE, NONCE, scene.charter)


def refusal(attempt: Callable[[], object]) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        attempt()
    return refused.value.reason


def test_a_key_agent_follows_by_its_owners_file_and_never_on_the_rooms_word(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path / "agent")
    owner, former = scene.owner, scene.owner.root
    accepts(scene)
    handover = owner.hand_over()
    accepts(scene)
    first = owner.charters[-1]
    owner.adopt(**scene.named)
    assert scene.reason(scene.claims()) is Reason.BAD_CHARTER
    KeyAgent.load(scene.agent.folder).follow(handover)
    accepts(scene)
    # The last charter of the former root counts until the next one; no other of its does.
    scene.owner.charters.remove(scene.charter)
    accepts(scene)
    assert scene.charter is first
    owner.root = former
    owner.adopt(**scene.named)
    assert scene.reason(scene.claims()) is Reason.BAD_CHARTER


def test_a_key_agent_refuses_every_other_handover(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "agent")
    owner = scene.owner
    accepts(scene)
    following = SigningKey.generate()
    agent = KeyAgent.load(scene.agent.folder)
    agent.keep_state(
        agent.state().model_copy(
            update={"charter_version": 1, "charter": owner.charters[-1].digest}
        )
    )
    wrong = {
        owner.handover(following, following): Reason.BAD_SIGNATURE,
        owner.handover(following, owner.root): Reason.BAD_SIGNATURE,
        owner.handover(following, owner.approvers["chen"], following): Reason.BAD_SIGNATURE,
        scene.world.owner("court").handover(following): Reason.BAD_CHARTER,
        owner.handover(following, room="other.example"): Reason.BAD_CHARTER,
        owner.handover(
            following, THIEF, following, former=THIEF.verify_key.public
        ): Reason.BAD_CHARTER,
        owner.handover(following, previous=scene.world.owner("court").charters[0].digest): (
            Reason.CONFLICT
        ),
    }
    for statement, reason in wrong.items():
        assert refusal(lambda statement=statement: agent.follow(statement)) is reason
    owner.adopt(**scene.named)
    past = owner.handover(following, version=2, previous=owner.charters[0].digest)
    agent.keep_state(
        agent.state().model_copy(
            update={"charter_version": 2, "charter": owner.charters[-1].digest}
        )
    )
    assert refusal(lambda: agent.follow(past)) is Reason.CONFLICT
    assert KeyAgent.load(agent.folder).policy == scene.policy
    accepts(scene)
    # One that was followed is not undone by a rival of the same root.
    agent.follow(owner.handover(following))
    rival = owner.handover(THIEF)
    followed = KeyAgent.load(agent.folder)
    assert refusal(lambda: followed.follow(rival)) is Reason.BAD_CHARTER


def test_a_supervisor_follows_by_its_owners_file(tmp_path: Path, room: Sample) -> None:
    tax = room.tax
    config = HomeConfig(room=room.world.room, owner="tax", charter_root=tax.root.verify_key.public)
    home = Home.create(tmp_path / "home", config)
    kept = home.folder / CHARTER
    kept.write_bytes(tax.charters[-1].to_json())
    rival = tax.handover(THIEF)
    handover = tax.hand_over()
    assert refusal(lambda: home.follow(tax.handover(THIEF))) is Reason.BAD_CHARTER
    says = home.follow(handover)
    assert Home.load(home.folder).config.charter_root == says.following
    assert kept.read_bytes() == tax.charters[-1].to_json()
    assert refusal(lambda: Home.load(home.folder).follow(rival)) is Reason.BAD_CHARTER
    # One that was behind waits for the relay to bring the charter that the handover follows.
    behind = Home.create(tmp_path / "behind", config)
    (behind.folder / CHARTER).write_bytes(tax.charters[0].to_json())
    tax.root, following = room.world.seeds.signing("root of tax"), tax.root
    tax.adopt()
    behind.follow(tax.handover(following))
    assert not (behind.folder / CHARTER).exists()
