"""A receipt is proven anew under what witnesses cosigned, and shows them offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.receipt_witness import vouching
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from tests.client.test_check import asked
from tests.client.test_heads import Relying, relying, two_of_three

__all__ = ["relying"]


def grow(relying: Relying) -> None:
    world = relying.said.case.world
    name = f"t{world.ledger.size}"
    world.ledger.record(world.bank("bank-b").template(name, "tax.vat_paid >= 1000"))


async def told(relying: Relying) -> Receipt:
    """Ask, and give the answer's receipt as the room gave it."""
    relying.cosign(0, 1)
    return (await asked(relying.room, relying.said)).receipt


async def test_a_receipt_is_put_under_what_witnesses_cosigned(relying: Relying) -> None:
    receipt = await told(relying)
    trust = relying.room.profile.trust
    assert all(each.by == () for each in vouching(receipt, trust, two_of_three()))
    grow(relying)
    relying.cosign(0, 2)
    renewed = await relying.room.witness_receipt(receipt)
    (head,) = vouching(renewed, trust, two_of_three())
    assert (head.enough, head.size) == (True, relying.said.case.world.ledger.size)
    assert {each.witness for each in head.by} == {"bank.example/w", "auditor.example/w"}
    # Nothing in it but the proofs has changed, and its form is what it was.
    before, after = verify_receipt(receipt, trust), verify_receipt(renewed, trust)
    assert before.answer == after.answer
    assert Receipt.from_json(renewed.to_json()) == renewed
    for one, other in zip(receipt.parts, renewed.parts, strict=True):
        assert one.model_copy(update={"proof": other.proof}) == other


async def test_what_witnesses_have_not_cosigned_yet_is_waited_for(relying: Relying) -> None:
    relying.cosign(0, 1)
    grow(relying)
    receipt = (await asked(relying.room, relying.said)).receipt
    waited: list[int] = []

    def waiting() -> None:
        waited.append(1)
        relying.cosign(0, 1)

    renewed = await relying.room.witness_receipt(receipt, waiting=waiting)
    assert waited == [1]
    (head,) = vouching(renewed, relying.room.profile.trust, two_of_three())
    assert head.enough


async def test_what_witnesses_never_cosign_is_not_vouched_for(relying: Relying) -> None:
    relying.cosign(0, 1)
    grow(relying)
    receipt = (await asked(relying.room, relying.said)).receipt
    with pytest.raises(SafeRoomError) as refused:
        await relying.room.witness_receipt(receipt, patience_seconds=0.0)
    assert refused.value.reason is Reason.NOT_WITNESSED


async def test_a_receipt_of_a_log_of_its_own_gets_no_witness(relying: Relying) -> None:
    """The room gave the answer in a log that it shows to nobody else."""
    world = relying.said.case.world
    public = world.ledger.copy()
    receipt = await told(relying)
    while public.size <= world.ledger.size:
        public.append(b"public %d" % public.size)
    world.ledger = public  # pyright: ignore[reportAttributeAccessIssue] - the room's other log
    relying.cosign(0, 1, 2)
    with pytest.raises(SafeRoomError) as refused:
        await relying.room.witness_receipt(receipt)
    assert refused.value.reason is Reason.BAD_PROOF


async def test_without_pinned_witnesses_there_is_a_next_step(relying: Relying) -> None:
    receipt = await told(relying)
    relying.room.reliance.policy = None
    with pytest.raises(SafeRoomError) as refused:
        await relying.room.witness_receipt(receipt)
    assert refused.value.reason is Reason.NOT_WITNESSED
    assert "saferoom trust witness" in refused.value.__notes__[0]


async def test_verify_shows_offline_who_vouches(relying: Relying, tmp_path: Path) -> None:
    receipt = await told(relying)
    profile = relying.room.profile.folder
    grow(relying)
    relying.cosign(1, 2)
    renewed = await relying.room.witness_receipt(receipt)
    for name, kept, enough in (("old", receipt, False), ("new", renewed, True)):
        file = tmp_path / f"{name}.json"
        file.write_bytes(kept.to_json())
        command = ["receipt", "verify", str(file), "-p", str(profile)]
        document = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
        assert document["verified"]
        assert {each["enough"] for each in document["witnesses"]} == {enough}
        printed = CliRunner().invoke(app, command).stdout
        assert ("owner.example/w cosigned the log" in printed) is enough
        assert ("too few witnesses vouch" in printed) is not enough


async def test_a_forged_word_in_a_receipt_is_refused(relying: Relying) -> None:
    receipt = await told(relying)
    grow(relying)
    relying.cosign(0, 1)
    renewed = await relying.room.witness_receipt(receipt)
    part = renewed.parts[0]
    proof = part.proof[:-9] + ("A" if part.proof[-9] != "A" else "B") + part.proof[-8:]
    forged = renewed.model_copy(update={"parts": (part.model_copy(update={"proof": proof}),)})
    with pytest.raises(SafeRoomError) as refused:
        vouching(forged, relying.room.profile.trust, two_of_three())
    assert refused.value.reason is Reason.BAD_SIGNATURE
