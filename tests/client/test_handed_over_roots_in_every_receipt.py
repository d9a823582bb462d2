"""Receipts of every kind lead on over a handover of a root.

The library and the program of one file read all of them.
"""

from __future__ import annotations

from types import ModuleType

import pytest

from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.trust import FormerRoot
from tests.client.desks import Desk, text, trust_in
from tests.client.every_receipt import EVERY, KindOf, agree, loaded_verifier


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    return loaded_verifier("verifier_of_roots_in_every_receipt")


@EVERY
def test_receipts_of_before_and_after_verify_under_either_root(
    theirs: ModuleType, kind: KindOf
) -> None:
    desk = Desk()
    first, root = desk.tax.charters[0], desk.tax.root
    before = kind.write(desk, ()).to_json()
    handover = desk.tax.hand_over()
    desk.tax.adopt()
    desk.stand("next enclave")
    after = kind.write(desk, (handover,)).to_json()
    silent = kind.write(desk, ()).to_json()
    held = FormerRoot(
        root=root.verify_key.public, charters=(first.digest,), handover=text(handover)
    )
    old, new = trust_in(desk, root), trust_in(desk, desk.tax.root)
    followed = trust_in(desk, desk.tax.root, former_charter_roots={"tax": (held,)})
    assert b"handovers" not in before
    for receipt in (before, after):
        # Who pinned the first root is led on by the receipt; who followed needs nothing more.
        assert agree(theirs, kind, receipt, old) is None
        assert agree(theirs, kind, receipt, followed) is None
    assert agree(theirs, kind, after, new) is None
    assert agree(theirs, kind, before, new) is Reason.BAD_CHARTER
    # Without the handover, the first root leads nowhere.
    assert agree(theirs, kind, silent, old) is Reason.BAD_CHARTER


@EVERY
def test_what_a_former_root_or_a_thief_hands_over_leads_nobody_on(
    theirs: ModuleType, kind: KindOf
) -> None:
    desk = Desk()
    tax, root, thief = desk.tax, desk.tax.root, SigningKey.generate()
    first = tax.charters[0]
    by_one = tax.handover(thief, thief)
    elsewhere = tax.handover(thief, room="other.example")
    handover = tax.hand_over()
    held = FormerRoot(
        root=root.verify_key.public, charters=(first.digest,), handover=text(handover)
    )
    old = trust_in(desk, root)
    followed = trust_in(desk, tax.root, former_charter_roots={"tax": (held,)})
    # The thief has the first root, and a charter of its own by it.
    tax.root = root
    tax.adopt(max_head_age_seconds=3600)
    desk.stand("of the first root")
    assert agree(theirs, kind, kind.write(desk, (handover,)).to_json(), followed) is (
        Reason.BAD_CHARTER
    )
    # Or it has no root, and says that it was handed one.
    tax.root = thief
    tax.charters = [first]
    tax.adopt()
    desk.stand("of the thief")
    for wrong, reason in ((by_one, Reason.BAD_SIGNATURE), (elsewhere, Reason.BAD_CHARTER)):
        assert agree(theirs, kind, kind.write(desk, (wrong,)).to_json(), old) is reason
