"""The simulated room keeps the contract: what it makes, the contract's own checks accept."""

from __future__ import annotations

from saferoom_proto.keys import VerifyKey
from saferoom_proto.receipt import verify_recorded
from saferoom_proto.statements import CheckRequest, Consent, load
from saferoom_proto.verification import (
    open_charter,
    verify_agreement,
    verify_head,
    verify_request,
    verify_subject_statement,
)
from simulator import World


def made(seed: int) -> World:
    world = World(seed)
    tax, bank = world.owner("tax"), world.bank("bank-a")
    tax.agree(bank)
    world.subject(1).give(bank, ["tax.vat_paid"])
    return world


def test_the_same_seed_gives_the_same_world() -> None:
    one, same, other = made(1), made(1), made(2)
    assert one.streams["tax"].running == same.streams["tax"].running
    assert one.ledger.note() == same.ledger.note()
    assert one.streams["tax"].running[1:] != other.streams["tax"].running[1:]


def test_what_is_said_in_the_world_verifies() -> None:
    world = made(1)
    tax, bank = world.owner("tax"), world.bank("bank-a")
    charter, agreed, given = world.streams["tax"].statements
    pinned = open_charter(charter, tax.root.verify_key.public)
    assert pinned == tax.charter
    agreement = verify_agreement(agreed, pinned)
    consent = load(given, Consent)
    assert verify_subject_statement(given, consent, pinned, world.now()).name == "self"
    template = bank.template("any", "tax.vat_paid >= 5")
    request = bank.request(world.subject(1), template, "sha256:" + "0" * 64)
    assert verify_request(request, CheckRequest, agreement, world.now()).institution == "bank-a"


def test_heads_and_recorded_statements_stand_on_the_ledger() -> None:
    world = made(1)
    head = verify_head(
        world.head("tax", b"n" * 16), world.owner("tax").charter, "bm5ubm5ubm5ubm5ubm5ubg=="
    )
    assert head.sequence == 3
    recorded = world.ledger.recorded(world.streams["tax"].statements[1])
    checkpoint, index = verify_recorded(
        recorded.statement.digest, recorded.salt, recorded.proof, world.trust()
    )
    assert (checkpoint.size, index) == (3, 1)
    assert VerifyKey.from_public(world.trust().ledger_key) == world.ledger.key.verify_key
