"""Receipts of every kind verify over a handover of the key that signs the log.

The library and the program of one file read all of them.
"""

from __future__ import annotations

from types import ModuleType

import pytest

from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import World
from tests.client.desks import Desk
from tests.client.every_receipt import EVERY, KindOf, agree, loaded_verifier


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    return loaded_verifier("verifier_of_log_keys")


@EVERY
def test_receipts_of_before_during_and_after_verify_for_who_followed(
    theirs: ModuleType, kind: KindOf
) -> None:
    desk, following = Desk(), SigningKey.generate()
    world, former = desk.world, desk.world.ledger.key
    pinned = world.trust()
    before = kind.write(desk, ()).to_json()
    # Both sign from the handover on, and then the next key alone.
    trust = world.trust_after(world.hand_over_log(following))
    during = kind.write(desk, ()).to_json()
    world.ledger.signers = (following,)
    after = kind.write(desk, ()).to_json()
    for receipt in (before, during, after):
        assert agree(theirs, kind, receipt, trust) is None
    # Who did not follow reads what the former key signed.
    for receipt in (before, during):
        assert agree(theirs, kind, receipt, pinned) is None
    assert agree(theirs, kind, after, pinned) is Reason.BAD_SIGNATURE
    # Who lets go of the former key, as it was stolen, reads what the next one signed.
    stolen = trust.model_copy(update={"former_ledger_keys": ()})
    for receipt in (during, after):
        assert agree(theirs, kind, receipt, stolen) is None
    assert agree(theirs, kind, before, stolen) is Reason.BAD_SIGNATURE
    # And what a thief signs with it afterwards is read by nobody who followed.
    world.ledger.signers = (former,)
    late = kind.write(desk, ()).to_json()
    assert agree(theirs, kind, late, trust) is Reason.BAD_SIGNATURE


def test_a_handover_that_one_key_alone_signed_leads_nobody_on() -> None:
    world, thief = World("log keys"), SigningKey.generate()
    for by in (world.ledger.key, thief):
        alone = world.hand_over_log(thief, by)
        with pytest.raises(SafeRoomError) as refused:
            world.trust_after(alone)
        assert refused.value.reason is Reason.BAD_SIGNATURE
