"""What questions cost, in the enclave's own accounts: durable, by the questions alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Feature, LevelLimits
from simulator import EnclaveHarness, Firm, Sample, sample, tax_csv
from simulator.sample import VAT_GRID

VAT = FeatureRef("tax", "vat_paid")


def told(enclave: EnclaveHarness, room: Sample, value: str, serial: int = 1) -> Truth | Reason:
    """Ask about one threshold; give the answer, or why there is none."""
    verdict = enclave.ask(room.question(serial, value))
    return verdict.truth or verdict.reason or Reason.INTERNAL


def redefine(room: Sample, **changes: object) -> None:
    """Publish another version of the feature that thresholds are asked of, and approve anew."""
    current = room.world.features[VAT].definition
    fields = current.model_dump() | {"version": current.version + 1} | changes
    room.tax.define(Feature.model_validate(fields))


def again(room: Sample, **changes: object) -> Sample:
    """Give the room after a redefinition, with `steady` approved again under it."""
    redefine(room, **changes)
    certificate = room.world.publish(room.bank.certificate(room.steady.template))
    room.tax.approve(room.steady.template, certificate.digest)
    return replace(room, steady=replace(room.steady, certificate=certificate))


def test_a_release_names_the_price_of_each_feature(room: Sample, enclave: EnclaveHarness) -> None:
    charges = enclave.ask(room.question()).release.charges
    assert [(each.feature, each.cells_before, each.cells_after) for each in charges] == [
        ("tax.vat_paid", 1, 3),
        ("tax.arrears", 1, 2),
    ]


def test_a_question_over_the_features_budget_is_refused_and_an_old_one_is_not(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room = again(room, budget_bits=Decimal("2.322"))  # 5 cells: two cuts and "unknown"
    enclave.follow()
    assert told(enclave, room, VAT_GRID[0]) is Truth.YES
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    assert told(enclave, room, VAT_GRID[1]) is Reason.OVER_BUDGET
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    assert told(enclave, room, VAT_GRID[1], serial=3) is Truth.NO  # another subject's account


def test_a_refusal_over_budget_does_not_depend_on_the_record(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room = again(room, budget_bits=Decimal("2.322"))
    enclave.follow()
    patterns = {
        tuple(told(enclave, room, value, serial) is Reason.OVER_BUDGET for value in VAT_GRID)
        for serial in (1, 2, 3, 4, 9)
    }
    assert patterns == {(False, False, True, True, True, True, True)}


def test_budgets_survive_a_restart_and_a_kill(room: Sample, enclave: EnclaveHarness) -> None:
    room = again(room, budget_bits=Decimal("2.322"))
    enclave.follow()
    assert told(enclave, room, VAT_GRID[0]) is Truth.YES
    enclave.restart()
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    enclave.kill()
    assert told(enclave, room, VAT_GRID[1]) is Reason.OVER_BUDGET


def test_the_charters_limit_counts_where_it_is_lower(tmp_path: Path) -> None:
    limits = tuple(
        LevelLimits(level=level, feature_bits=Decimal("1.585"), family_bits=Decimal(12))
        for level in (1, 2, 3, 4)
    )
    room = sample(0, limits=limits)
    room.consent(1)
    harness = EnclaveHarness(room.tax, tmp_path)
    harness.load({"firms": tax_csv(room.world)})
    assert told(harness, room, VAT_GRID[0]) is Truth.YES
    assert told(harness, room, VAT_GRID[3]) is Reason.OVER_BUDGET
    harness.close()


def test_banks_of_one_group_share_an_account_and_others_do_not(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room = again(room, budget_bits=Decimal("1.585"))
    friend, stranger = room.world.bank("bank-c"), room.world.bank("bank-d")
    room.tax.agree(friend, group="bank-a")
    room.tax.agree(stranger)
    for bank in (friend, stranger):
        room.consent(1, bank)
    enclave.follow()
    assert told(enclave, room, VAT_GRID[0]) is Truth.YES
    friends = enclave.ask(room.question(1, VAT_GRID[3], bank=friend))
    assert friends.reason is Reason.OVER_BUDGET
    assert enclave.ask(room.question(1, VAT_GRID[3], bank=stranger)).truth is Truth.NO


def test_a_load_opens_a_new_period_and_the_familys_cap_counts_all_of_them(
    tmp_path: Path,
) -> None:
    # Five bits: a period's question about one cut costs log2 3.
    limits = tuple(
        LevelLimits(level=level, feature_bits=Decimal(3), family_bits=Decimal(5))
        for level in (1, 2, 3, 4)
    )
    room = sample(0, limits=limits)
    harness = EnclaveHarness(room.tax, tmp_path)
    room.consent(1)
    for _ in range(3):
        harness.load({"firms": tax_csv(room.world, {1: Firm("120000", arrears=False, rating="A")})})
        harness.follow()
        assert told(harness, room, VAT_GRID[0]) is Truth.YES
    assert harness.load({"firms": tax_csv(room.world)}).snapshot is not None
    harness.follow()
    assert told(harness, room, VAT_GRID[0]) is Reason.OVER_BUDGET
    harness.restart()
    assert told(harness, room, VAT_GRID[0]) is Reason.OVER_BUDGET
    room.world.clock.advance(37 * 31 * 24 * 3600)
    subject = room.world.subject(1)
    subject.certificate = room.world.issuer.issue(
        f"urn:saferoom:subject:{subject.uscc}", subject.key.verify_key, room.world.now()
    )
    _renew(room, harness)
    assert told(harness, room, VAT_GRID[0]) is Truth.YES
    harness.close()


def _renew(room: Sample, harness: EnclaveHarness) -> None:
    """Make agreement, consent and endorsement anew, three years later."""
    room.bank.certified = room.world.issuer.issue(
        "urn:saferoom:org:bank-a:checks", room.bank.key.verify_key, room.world.now()
    )
    room.tax.agree(room.bank, replaces=room.agreement)
    room.consent(1)
    harness.unlock()
    harness.follow()


def test_a_grid_that_changes_within_a_period_adds_to_what_was_asked_of_the_old_one(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room = again(room, budget_bits=Decimal("2.322"))
    enclave.follow()
    assert told(enclave, room, VAT_GRID[0]) is Truth.YES
    shifted = tuple(Decimal(value) + 1 for value in VAT_GRID)
    room = again(room, grid=shifted, budget_bits=Decimal("2.322"))
    enclave.follow()
    assert told(enclave, room, str(shifted[3])) is Truth.NO
    assert told(enclave, room, str(shifted[1])) is Reason.OVER_BUDGET
    room = again(room, grid=tuple(map(Decimal, VAT_GRID)), budget_bits=Decimal("2.322"))
    enclave.follow()
    assert told(enclave, room, VAT_GRID[0]) is Truth.YES
    assert told(enclave, room, VAT_GRID[1]) is Reason.OVER_BUDGET


@pytest.mark.parametrize("classes", [("A",), ("A", "B"), ("A", "B", "C")])
def test_classes_are_charged_as_they_are_told_apart(
    room: Sample, enclave: EnclaveHarness, classes: tuple[str, ...]
) -> None:
    named = ", ".join(f"'{each}'" for each in classes)
    rated = room.approved("rated", f"tax.rating IN ({named})")
    enclave.follow()
    (charge,) = enclave.ask(room.question(asked=rated)).release.charges
    assert charge.cells_after == len(classes) + 2  # the others, and unknown
