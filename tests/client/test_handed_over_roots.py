"""Receipts and audits over a handover of a charter root: for readers who pinned either root."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Final, cast

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import Charter, load
from saferoom_proto.trust import FormerRoot, Trust
from simulator import SimOwner
from tests.client.every_receipt import loaded_verifier
from tests.client.made import Case, MadeEnclave, make_case
from tests.client.story import Story

FIRST: Final = "root of tax"


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    return loaded_verifier("verifier_of_roots")


def asked(case: Case, *handovers: Envelope) -> Receipt:
    """Ask both owners, and write the receipt as a member who followed these handovers does."""
    question = case.question()
    parts = {owner: case.answer(question, owner) for owner in ("court", "tax")}
    receipt = case.receipt(question, parts)
    texts = tuple(each.to_json().decode() for each in handovers)
    court, tax = receipt.parts
    return receipt.model_copy(
        update={"parts": (court, tax.model_copy(update={"handovers": texts}))}
    )


def under_the_new_root(case: Case) -> None:
    """Have the tax office's next charter signed, and all given anew under it."""
    tax = case.world.owner("tax")
    tax.adopt()
    case.approvals["tax"] = tuple(tax.approve(case.template, case.certificate.digest))
    case.enclaves["tax"] = MadeEnclave(tax, "next enclave")


def trust_in(case: Case, root: SigningKey | None = None, **changes: object) -> Trust:
    """Give the pinned keys of a member: of the first root, or of another."""
    key = root or case.world.seeds.signing(FIRST)
    roots = {**case.world.trust().charter_roots, "tax": key.verify_key.public}
    return Trust.model_validate({**dict(case.world.trust()), "charter_roots": roots, **changes})


def former(
    case: Case, handover: Envelope, *charters: Envelope
) -> dict[str, tuple[FormerRoot, ...]]:
    """Give what a member keeps of the first root when it followed."""
    key = case.world.seeds.signing(FIRST).verify_key.public
    digests = tuple(each.digest for each in charters)
    return {"tax": (FormerRoot(root=key, charters=digests, handover=handover.to_json().decode()),)}


def agree(theirs: ModuleType, receipt: Receipt, trust: Trust) -> Reason | None:
    """Have both programs verify a receipt; tells why they refuse it, or nothing."""
    verify = cast("Callable[[bytes, bytes], object]", theirs.verify)
    try:
        assert verify_receipt(Receipt.from_json(receipt.to_json()), trust).answer is Truth.YES
    except SafeRoomError as error:
        with pytest.raises(theirs.Wrong):
            verify(receipt.to_json(), trust.model_dump_json().encode())
        return error.reason
    verify(receipt.to_json(), trust.model_dump_json().encode())
    return None


def test_receipts_of_before_and_after_verify_under_either_root(theirs: ModuleType) -> None:
    case = make_case()
    tax = case.world.owner("tax")
    before, first = asked(case), tax.charters[0]
    handover = tax.hand_over()
    between = asked(case)
    under_the_new_root(case)
    after = asked(case, handover)
    old, new = trust_in(case), trust_in(case, tax.root)
    followed = trust_in(case, tax.root, former_charter_roots=former(case, handover, first))
    assert "handovers" not in json.loads(before.to_json())["parts"][1]
    for receipt in (before, between, after):
        # Who pinned the first root is led on by the receipt; who followed needs nothing more.
        assert agree(theirs, receipt, old) is None
        assert agree(theirs, receipt, followed) is None
    # Who was given the new root only, and never followed, is not shown what came before it.
    assert agree(theirs, after, new) is None
    assert agree(theirs, before, new) is Reason.BAD_CHARTER
    # Without the handover, the first root leads nowhere.
    assert agree(theirs, asked(case), old) is Reason.BAD_CHARTER


def test_what_the_former_root_signs_afterwards_counts_for_nobody_who_followed(
    theirs: ModuleType,
) -> None:
    case = make_case()
    tax = case.world.owner("tax")
    first, stolen = tax.charters[0], tax.root
    handover = tax.hand_over()
    followed = trust_in(case, tax.root, former_charter_roots=former(case, handover, first))
    # The thief writes a charter of the past, with a key agent of its own, and a next one.
    tax.root = stolen
    for version in (1, 2):
        tax.charters = [first] if version == 2 else []
        tax.adopt(max_head_age_seconds=3600)
        case.approvals["tax"] = tuple(tax.approve(case.template, case.certificate.digest))
        case.enclaves["tax"] = MadeEnclave(tax, f"thief {version}")
        assert agree(theirs, asked(case, handover), followed) is Reason.BAD_CHARTER


def test_a_receipt_does_not_lead_on_by_a_handover_that_does_not_count(
    theirs: ModuleType,
) -> None:
    case = make_case()
    tax, court = case.world.owner("tax"), case.world.owner("court")
    thief, root = SigningKey.generate(), tax.root
    wrong = [
        (tax.handover(thief, thief), Reason.BAD_SIGNATURE),
        (tax.handover(thief, root), Reason.BAD_SIGNATURE),
        (tax.handover(thief, tax.approvers["chen"], thief), Reason.BAD_SIGNATURE),
        (court.handover(thief), Reason.BAD_CHARTER),
        (tax.handover(thief, room="other.example"), Reason.BAD_CHARTER),
        (tax.handover(thief, version=9), Reason.BAD_CHARTER),
    ]
    tax.root = thief
    under_the_new_root(case)
    old = trust_in(case)
    for handover, reason in wrong:
        assert agree(theirs, asked(case, handover), old) is reason


# Audits.


def handed_over() -> tuple[Story, Envelope]:
    story = Story().begin()
    story.release()
    handover = story.tax.hand_over()
    story.follow(handover)
    story.release()
    return story, handover


def next_charter(story: Story) -> None:
    """Have the new root's charter followed, and an answer given under it."""
    tax = story.tax
    tax.adopt()
    story.approvals = tuple(tax.approve(story.template, story.certificate.digest))
    story.enclave = MadeEnclave(tax, "next enclave", evidence=tax.charters[0].digest)
    story.follow(tax.charters[-1], *story.approvals)
    story.log.append(story.enclave.endorsement)
    story.release()


def violations(story: Story, trust: Trust) -> list[tuple[int | None, Reason]]:
    world = story.world
    pinned, world.trust = world.trust, lambda: trust
    try:
        return story.found()
    finally:
        world.trust = pinned


def trusts(story: Story, handover: Envelope) -> tuple[Trust, Trust]:
    """Give the keys of an auditor who pinned the first root, and of one who followed."""
    now = story.world.trust()
    first = story.world.seeds.signing(FIRST).verify_key.public
    roots = {**now.charter_roots, "tax": first}
    held = FormerRoot(
        root=first,
        charters=(story.tax.charters[0].digest,),
        handover=handover.to_json().decode(),
    )
    return (
        now.model_copy(update={"charter_roots": roots}),
        now.model_copy(update={"former_charter_roots": {"tax": (held,)}}),
    )


def test_a_handed_over_root_is_no_violation_for_who_pinned_either() -> None:
    story, handover = handed_over()
    next_charter(story)
    for trust in trusts(story, handover):
        assert violations(story, trust) == []


def test_an_auditor_finds_what_the_former_root_signed_and_every_handover_that_does_not_count() -> (
    None
):
    story, handover = handed_over()
    tax, thief = story.tax, SigningKey.generate()
    former = story.world.seeds.signing(FIRST)
    root, tax.root = tax.root, former
    late, rival = tax.next_charter(), tax.handover(thief)
    tax.root = root
    alone = tax.handover(thief, root)
    planted = (late, rival, alone, handover)
    for each in planted:
        story.log.append(each)
    at = len(story.log) - len(planted)
    reasons = (Reason.BAD_CHARTER, Reason.CONFLICT, Reason.BAD_SIGNATURE, Reason.CONFLICT)
    expected = [(at + place, reason) for place, reason in enumerate(reasons)]
    for trust in trusts(story, handover):
        assert violations(story, trust) == expected


def test_an_auditor_who_followed_finds_a_log_that_was_handed_over_to_another() -> None:
    story, handover = handed_over()
    thief = SigningKey.generate()
    at = story.log.index(handover)
    tax: SimOwner = story.tax
    followed = trusts(story, handover)[1]
    tax.root = story.world.seeds.signing(FIRST)
    story.log[at] = story.followed[story.followed.index(handover)] = tax.handover(thief)
    assert (at, Reason.CONFLICT) in violations(story, followed)
    assert load(tax.charters[0], Charter).version == 1


def test_an_enclave_that_was_not_told_of_the_handover_says_so_with_its_next_word() -> None:
    story = Story().begin()
    story.release()
    tax, stolen = story.tax, story.tax.root
    handover = tax.hand_over()
    # The log holds it, as its owner saw; the server leaves it out of the enclave's stream, and
    # brings a charter by the stolen root instead.
    story.hear_nothing_of(handover)
    tax.root = stolen
    story.follow(tax.next_charter())
    tax.root = story.world.seeds.signing("next root of tax")
    story.release()
    end = len(story.log) - 1
    followed = trusts(story, handover)[1]
    assert violations(story, followed) == [
        (end - 1, Reason.BAD_CHARTER),
        (end, Reason.BROKEN_STREAM),
    ]
