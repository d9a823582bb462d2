"""The key agent and an older copy of its enclave: only by its owner's decision, and only once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from saferoom_client.agent.policy import Accepted, appraise, release_keys
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import parse_object
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.recovery import keys_info
from saferoom_proto.statements import ChainLink, StoreState
from tests.client.agents import CODE, NONCE, OTHER, SOFTWARE, Scene

COPY = ChainLink(index=3, previous=CODE)
NEWEST = ChainLink(index=9, previous=OTHER)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Give an agent that has seen its enclave come to `NEWEST`."""
    made = Scene(tmp_path / "agent")
    accepted = appraise(made.agent, made.claims(chain=NEWEST), SOFTWARE, NONCE, made.charter)
    release_keys(made.agent, accepted, made.world.now())
    return made


def decided(
    scene: Scene,
    follows: ChainLink = NEWEST,
    *,
    copy: ChainLink = COPY,
    approvers: Sequence[str] = ("chen", "li"),
    last_epoch: int = 1,
) -> list[Envelope]:
    scene.world.clock.advance(1)
    return [scene.owner.recovery(copy, follows, last_epoch, each) for each in approvers]


def shown(
    scene: Scene, recoveries: Sequence[Envelope], key: SigningKey | None = None, **claims: object
) -> Accepted:
    """Show the agent a start of the copy."""
    identity = key or scene.identity
    fields = {"chain": COPY, "identity": identity.verify_key.public} | claims
    return appraise(
        scene.agent,
        scene.claims(identity, **fields),
        SOFTWARE,
        NONCE,
        scene.charter,
        recoveries=recoveries,
    )


def refused(scene: Scene, recoveries: Sequence[Envelope], **how: object) -> SafeRoomError:
    with pytest.raises(SafeRoomError) as error:
        shown(scene, recoveries, **how)  # pyright: ignore[reportArgumentType]
    return error.value


def another(scene: Scene) -> SigningKey:
    """Give the identity of another start: it is made anew at each."""
    return scene.world.seeds.signing("enclave, started again")


def test_without_a_decision_an_older_copy_gets_no_key(scene: Scene) -> None:
    assert refused(scene, []).reason is Reason.STORE_ROLLED_BACK


def test_by_its_owners_decision_it_gets_its_key_sealed_under_that(scene: Scene) -> None:
    recoveries = decided(scene)
    released = release_keys(scene.agent, shown(scene, recoveries), scene.world.now())
    state = scene.agent.state()
    assert state.chain == NEWEST  # a copy that is put back again is behind that
    info = keys_info(released.endorsement.digest, (each.digest for each in recoveries))
    assert parse_object(scene.sealing.open(released.sealed_keys, info=info))
    with pytest.raises(SafeRoomError):
        scene.sealing.open(released.sealed_keys, info=keys_info(released.endorsement.digest))


def test_the_same_start_may_ask_again_and_no_other(scene: Scene) -> None:
    recoveries = decided(scene)
    release_keys(scene.agent, shown(scene, recoveries), scene.world.now())
    release_keys(scene.agent, shown(scene, recoveries), scene.world.now())
    error = refused(scene, recoveries, key=another(scene))
    assert error.reason is Reason.STORE_ROLLED_BACK
    assert "decide anew" in error.detail


def test_a_word_that_counted_once_counts_in_no_other_company(scene: Scene) -> None:
    said = decided(scene, approvers=("chen", "li", "wang"))
    release_keys(scene.agent, shown(scene, said[:2]), scene.world.now())
    error = refused(scene, said[1:], key=another(scene))
    assert error.reason is Reason.STORE_ROLLED_BACK
    # Nor after a second decision about the same place.
    release_keys(scene.agent, shown(scene, decided(scene), another(scene)), scene.world.now())
    assert refused(scene, said[:2]).reason is Reason.STORE_ROLLED_BACK


def test_what_it_says_afterwards_ends_the_decision(scene: Scene) -> None:
    recoveries = decided(scene)
    release_keys(scene.agent, shown(scene, recoveries), scene.world.now())
    later = shown(scene, [], chain=ChainLink(index=11, previous=CODE))
    release_keys(scene.agent, later, scene.world.now())
    assert refused(scene, recoveries).reason is Reason.STORE_ROLLED_BACK
    assert refused(scene, [], chain=NEWEST).reason is Reason.STORE_ROLLED_BACK


@pytest.mark.parametrize(
    ("follows", "copy", "approvers", "reason"),
    [
        (ChainLink(index=8, previous=OTHER), COPY, ("chen", "li"), Reason.STORE_ROLLED_BACK),
        (ChainLink(index=9, previous=CODE), COPY, ("chen", "li"), Reason.STORE_ROLLED_BACK),
        (NEWEST, ChainLink(index=2, previous=CODE), ("chen", "li"), Reason.STORE_ROLLED_BACK),
        (NEWEST, COPY, ("chen",), Reason.NOT_APPROVED),
        (NEWEST, COPY, ("chen", "chen"), Reason.NOT_APPROVED),
    ],
    ids=["behind what was seen", "another history", "another copy", "one", "one twice"],
)
def test_a_decision_that_does_not_fit_gives_no_key(
    scene: Scene,
    follows: ChainLink,
    copy: ChainLink,
    approvers: tuple[str, ...],
    reason: Reason,
) -> None:
    recoveries = decided(scene, follows, copy=copy, approvers=approvers)
    assert refused(scene, recoveries).reason is reason


def test_one_that_goes_on_later_than_was_seen_is_the_owners_to_take(scene: Scene) -> None:
    further = ChainLink(index=20, previous=CODE)
    release_keys(scene.agent, shown(scene, decided(scene, further)), scene.world.now())
    assert scene.agent.state().chain == further


def test_a_decision_that_leaves_a_period_out_gives_no_key(scene: Scene) -> None:
    """The room says which period was the last: one that it leaves out would weigh on no cap."""
    seen = StoreState(epoch=3, digest=CODE)
    accepted = appraise(
        scene.agent, scene.claims(chain=NEWEST, store=seen), SOFTWARE, NONCE, scene.charter
    )
    release_keys(scene.agent, accepted, scene.world.now())
    # It goes back to an earlier snapshot: the later period began all the same.
    back = scene.claims(chain=NEWEST, store=StoreState(epoch=1, digest=CODE))
    release_keys(
        scene.agent, appraise(scene.agent, back, SOFTWARE, NONCE, scene.charter), scene.world.now()
    )
    error = refused(scene, decided(scene, last_epoch=2))
    assert error.reason is Reason.STORE_ROLLED_BACK
    assert "up to 2, and 3 began" in error.detail
    release_keys(scene.agent, shown(scene, decided(scene, last_epoch=3)), scene.world.now())
    assert scene.agent.state().last_epoch == 3
