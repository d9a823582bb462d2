"""Drills: a thief has a key that the room signed with, and really uses it.

What stays valid of before is asserted beside what is refused from then on. With a whole room:
`tests/flow/test_key_drills.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from saferoom_proto.checkpoint import Checkpoint, cosign_note, open_checkpoint, sign_checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.handover import Handover, lead_from, lead_to, verify_handover
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Head,
    KeyHandover,
    KeyUse,
    RoomKeys,
    load,
    seal_statement,
)
from saferoom_proto.trust import FormerKey, Trust
from simulator import EnclaveHarness, Sample, World

ROOM = "room.example/stolen"
HANDED_OVER_AT = 10


def checkpoint(size: int, says: str = "genuine") -> Checkpoint:
    return Checkpoint(ROOM, size, says.encode().ljust(32, b"."))


@dataclass(frozen=True)
class Keys:
    """A room's former ledger key, which a thief has, and the one that followed it."""

    stolen: SigningKey
    following: SigningKey

    @property
    def trust(self) -> Trust:
        """What a member holds that followed."""
        former = FormerKey(key=self.stolen.verify_key.public, size=HANDED_OVER_AT)
        return Trust(
            origin=ROOM,
            ledger_key=self.following.verify_key.public,
            charter_roots={},
            former_ledger_keys=(former,),
        )

    def handover(self, *signers: SigningKey, use: KeyUse = KeyUse.LEDGER) -> Envelope:
        """Say that the one follows the other; signed by whoever is given."""
        says = KeyHandover(
            room=ROOM,
            use=use,
            former=self.stolen.verify_key.public,
            following=self.following.verify_key.public,
            time=World("stolen").now(),
        )
        return seal_statement(says, *signers)


@pytest.fixture
def keys() -> Keys:
    return Keys(SigningKey.generate(), SigningKey.generate())


def refused_as(reason: Reason, refused: pytest.ExceptionInfo[SafeRoomError]) -> bool:
    return refused.value.reason is reason


def test_a_log_that_the_thief_goes_on_with_is_refused(keys: Keys) -> None:
    forged = sign_checkpoint(checkpoint(HANDED_OVER_AT + 1, "forged"), keys.stolen)
    with pytest.raises(SafeRoomError) as refused:
        keys.trust.open_checkpoint(forged)
    assert refused_as(Reason.BAD_SIGNATURE, refused)


def test_what_the_former_key_signed_in_its_time_stays_valid(keys: Keys) -> None:
    genuine = sign_checkpoint(checkpoint(HANDED_OVER_AT), keys.stolen)
    assert keys.trust.open_checkpoint(genuine).size == HANDED_OVER_AT


def test_a_member_that_knows_of_the_theft_takes_nothing_of_the_former_key(keys: Keys) -> None:
    # The thief dates its forgery back: a former key alone can't tell when it signed.
    forged = sign_checkpoint(checkpoint(3, "forged"), keys.stolen)
    assert keys.trust.open_checkpoint(forged).size == 3
    wary = keys.trust.model_copy(update={"former_ledger_keys": ()})
    with pytest.raises(SafeRoomError) as refused:
        wary.open_checkpoint(forged)
    assert refused_as(Reason.BAD_SIGNATURE, refused)
    # The room signs its own old checkpoints with the key in force; those it takes.
    genuine = sign_checkpoint(checkpoint(3), keys.stolen)
    wary.open_checkpoint(cosign_note(genuine, ROOM, [keys.following]))


@pytest.mark.parametrize("missing", ["former", "following"])
def test_a_handover_that_one_of_the_keys_did_not_sign_leads_nowhere(
    keys: Keys, missing: str
) -> None:
    signer = keys.following if missing == "former" else keys.stolen
    with pytest.raises(SafeRoomError) as refused:
        verify_handover(keys.handover(signer), ROOM)
    assert refused_as(Reason.BAD_SIGNATURE, refused)


def test_a_handover_of_another_room_leads_nowhere(keys: Keys) -> None:
    with pytest.raises(SafeRoomError) as refused:
        verify_handover(keys.handover(keys.stolen, keys.following), "room.example/other")
    assert refused_as(Reason.BAD_PROOF, refused)


def test_a_thief_who_hands_the_stolen_key_over_too_stops_everybody_and_leads_nobody(
    keys: Keys,
) -> None:
    thiefs = Keys(keys.stolen, SigningKey.generate())
    said = [
        verify_handover(each.handover(each.stolen, each.following), ROOM) for each in (keys, thiefs)
    ]
    for order in (said, said[::-1]):
        with pytest.raises(SafeRoomError) as refused:
            lead_from(keys.stolen.verify_key.public, KeyUse.LEDGER, order)
        assert refused_as(Reason.BAD_PROOF, refused)
    # Whoever followed before is led nowhere else.
    assert lead_from(keys.following.verify_key.public, KeyUse.LEDGER, said) == ()


def test_a_handover_of_one_use_is_none_of_another(keys: Keys) -> None:
    statement = keys.handover(keys.stolen, keys.following, use=KeyUse.HEADS)
    said = verify_handover(statement, ROOM)
    assert lead_from(said.says.former, KeyUse.LEDGER, [said]) == ()
    assert lead_to(said.says.following, KeyUse.LEDGER, [said]) == ()
    assert lead_from(said.says.former, KeyUse.HEADS, [said]) == (said,)


def test_handovers_in_a_circle_end(keys: Keys) -> None:
    back = Keys(keys.following, keys.stolen)
    said = [
        verify_handover(each.handover(each.stolen, each.following), ROOM) for each in (keys, back)
    ]
    assert len(lead_from(said[0].says.former, KeyUse.LEDGER, said)) == 2
    assert isinstance(lead_to(said[0].says.former, KeyUse.LEDGER, said)[0], Handover)


# What an enclave takes.


def adopt(room: Sample, **keys: SigningKey) -> None:
    """Have the owner sign a charter that names another key of the room."""
    world = room.world
    own = {"ledger": world.ledger.key, "heads": world.heads} | keys
    public = {name: key.verify_key.public for name, key in own.items()}
    room.tax.adopt(room_keys=RoomKeys.model_validate(public))


def test_an_enclave_lives_by_either_key_while_both_sign_and_then_by_its_charters(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, following = room.world, SigningKey.generate()

    def both() -> str:
        return cosign_note(world.ledger.note(), world.room, [following])

    # Before its owner's next charter, and with it, no delivery is refused.
    enclave.enclave.deliver(enclave.delivery(checkpoint=both()))
    adopt(room, ledger=following)
    enclave.enclave.deliver(enclave.delivery(checkpoint=both()))
    enclave.enclave.deliver(enclave.delivery(checkpoint=both()))
    # From the charter on, the former key alone is refused, whatever log it signs.
    with pytest.raises(SafeRoomError) as refused:
        enclave.enclave.deliver(enclave.delivery(checkpoint=world.ledger.note()))
    assert refused_as(Reason.BAD_SIGNATURE, refused)
    # The following key alone is enough.
    alone = sign_checkpoint(world.ledger.checkpoint(), following)
    enclave.enclave.deliver(enclave.delivery(checkpoint=alone))


def test_a_charter_is_not_taken_from_a_log_that_its_key_did_not_sign(
    room: Sample, enclave: EnclaveHarness
) -> None:
    adopt(room, ledger=SigningKey.generate())
    with pytest.raises(SafeRoomError) as refused:
        enclave.follow()
    assert refused_as(Reason.BAD_SIGNATURE, refused)


def test_a_stolen_heads_key_brings_an_enclave_nothing_after_its_charter(
    room: Sample, enclave: EnclaveHarness
) -> None:
    world, following = room.world, SigningKey.generate()

    def signed(*by: SigningKey) -> object:
        delivery = enclave.delivery()
        return replace(delivery, head=seal_statement(load(delivery.head, Head), *by))

    enclave.enclave.deliver(signed(world.heads, following))  # pyright: ignore[reportArgumentType]
    adopt(room, heads=following)
    enclave.enclave.deliver(signed(world.heads, following))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SafeRoomError) as refused:
        enclave.enclave.deliver(signed(world.heads))  # pyright: ignore[reportArgumentType]
    assert refused_as(Reason.BAD_SIGNATURE, refused)
    enclave.enclave.deliver(signed(following))  # pyright: ignore[reportArgumentType]


def test_a_line_added_twice_is_added_once(keys: Keys) -> None:
    note = sign_checkpoint(checkpoint(3), keys.stolen)
    twice = cosign_note(cosign_note(note, ROOM, [keys.following]), ROOM, [keys.following])
    assert twice == cosign_note(note, ROOM, [keys.following])
    open_checkpoint(twice, ROOM, VerifyKey.from_public(keys.following.verify_key.public))
