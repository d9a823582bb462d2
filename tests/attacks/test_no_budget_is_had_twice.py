"""A bank that has spent a budget tries for another of the same feature, subject and period."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from saferoom_proto.answer import Told, Truth
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Agreement, CostEstimate, Feature, Purpose, load
from simulator import Approved, EnclaveHarness, Sample, SimBank, tax_csv
from simulator.batch import ask_batch, steady_batch
from simulator.sample import AS_OF, VAT_GRID

VAT = FeatureRef("tax", "vat_paid")
SQL = "SELECT uscc AS subject, vat AS value FROM firms"
TWO_CUTS = Decimal("2.322")
"""Five cells: two cuts and "unknown"."""


def again(room: Sample, **changes: object) -> Sample:
    """Define the feature that thresholds are asked of anew, and approve `steady` under it."""
    current = room.world.features[VAT].definition
    fields = current.model_dump() | {"version": current.version + 1} | changes
    room.tax.define(Feature.model_validate(fields))
    certificate = room.world.publish(room.bank.certificate(room.steady.template))
    room.tax.approve(room.steady.template, certificate.digest)
    return replace(room, steady=replace(room.steady, certificate=certificate))


def told(
    enclave: EnclaveHarness, room: Sample, value: str, bank: SimBank | None = None
) -> Truth | Reason:
    """Ask about one threshold; give the answer, or why there is none."""
    verdict = enclave.ask(room.question(1, value, bank=bank))
    return verdict.truth or verdict.reason or Reason.INTERNAL


def test_another_group_in_the_next_agreement_brings_no_other_budget(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room = again(room, budget_bits=TWO_CUTS)
    enclave.follow()
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    assert told(enclave, room, VAT_GRID[1]) is Truth.YES
    renewed = room.tax.agree(room.bank, group="fresh", replaces=room.agreement)
    enclave.follow()
    assert load(renewed, Agreement).group == "fresh"
    assert told(enclave, room, VAT_GRID[2]) is Reason.OVER_BUDGET
    assert told(enclave, room, VAT_GRID[1]) is Truth.YES  # a repeat stays free
    judged = enclave.judge(room.bank.cost_request(room.question(1, VAT_GRID[2])))
    assert load(judged.entry.statement, CostEstimate).refused is Reason.OVER_BUDGET
    enclave.restart()
    assert told(enclave, room, VAT_GRID[2]) is Reason.OVER_BUDGET


@pytest.mark.parametrize("again_from_disk", [False, True])
def test_an_approver_who_leaves_takes_no_link_and_no_end_along(
    room: Sample, enclave: EnclaveHarness, *, again_from_disk: bool
) -> None:
    """Agreements that a later charter bears no more still say who was told what, and what ended."""
    room = again(room, budget_bits=TWO_CUTS)
    signers, other = room.tax.approvers, room.other_bank
    li, signers["li"] = signers["li"], signers["wang"]
    wider = room.tax.agree(other)
    signers["li"] = li
    narrower = room.tax.agree(other, (Purpose.IN_LOAN,), replaces=wider)
    room.consent(1, other)
    enclave.follow()
    assert load(narrower, Agreement).replaces == wider.digest
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    assert told(enclave, room, VAT_GRID[1]) is Truth.YES
    # Li signed the agreement with one bank, and what replaced the one with the other.
    signers["li"] = room.world.seeds.signing("successor of li")
    room.tax.adopt()
    enclave.follow()
    if again_from_disk:
        enclave.restart()
    else:
        enclave.unlock()
        enclave.follow()
    room.world.clock.advance(1)
    room.tax.agree(room.bank, group="fresh")
    room.tax.approve(room.steady.template, room.steady.certificate.digest)
    enclave.follow()
    assert told(enclave, room, VAT_GRID[2]) is Reason.OVER_BUDGET
    assert told(enclave, room, VAT_GRID[1]) is Truth.YES  # a repeat stays free
    with pytest.raises(SafeRoomError, match="NO_AGREEMENT"):
        enclave.judge(room.question(1, VAT_GRID[3], bank=other))


def test_whoever_leaves_a_group_takes_along_what_its_friends_were_told(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room = again(room, budget_bits=TWO_CUTS)
    friend = room.world.bank("bank-c")
    agreed = room.tax.agree(friend, group="bank-a")
    room.consent(1, friend)
    enclave.follow()
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    room.tax.end(agreed)
    room.tax.agree(friend)
    enclave.follow()
    assert told(enclave, room, VAT_GRID[1], friend) is Truth.YES
    assert told(enclave, room, VAT_GRID[2], friend) is Reason.OVER_BUDGET
    assert told(enclave, room, VAT_GRID[2]) is Reason.OVER_BUDGET  # nor by the one that stayed


@pytest.mark.parametrize(
    "changes",
    [
        {"as_of": AS_OF + timedelta(days=31)},
        {"sql": "SELECT uscc AS subject, vat + 400000 AS value FROM firms"},
    ],
    ids=["a month later", "another sum"],
)
def test_the_same_question_about_another_value_is_no_repeat(
    room: Sample, enclave: EnclaveHarness, changes: dict[str, object]
) -> None:
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    room = again(room, **changes)
    enclave.follow()
    for value in (VAT_GRID[3], VAT_GRID[0]):
        assert told(enclave, room, value) is Reason.OVER_BUDGET
    judged = enclave.judge(room.bank.cost_request(room.question(1, VAT_GRID[3])))
    assert load(judged.entry.statement, CostEstimate).refused is Reason.OVER_BUDGET
    # Of a firm that was not asked about before, it tells the new value.
    assert enclave.ask(room.question(3, VAT_GRID[3])).truth is not None
    # The value that was asked of may be asked of again; a unit is no value.
    room = again(room, as_of=AS_OF, sql=SQL, unit="yuan")
    enclave.follow()
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    assert told(enclave, room, VAT_GRID[0]) is Truth.YES
    # A load opens a period, in which it may be defined otherwise.
    room = again(room, **changes)
    enclave.load({"firms": tax_csv(room.world)})
    enclave.follow()
    assert told(enclave, room, VAT_GRID[3]) in (Truth.YES, Truth.NO)


def test_a_grid_that_shrinks_makes_nothing_cheaper(room: Sample, enclave: EnclaveHarness) -> None:
    room = again(room, budget_bits=Decimal("2.322"))
    enclave.follow()
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    # On other paths another cut was asked next: what is left of the grid does not show it.
    room = again(room, grid=tuple(map(Decimal, VAT_GRID[1:4:2])))
    enclave.follow()
    (charge, _) = enclave.ask(room.question(1, VAT_GRID[1])).release.charges
    assert (charge.cells_before, charge.cells_after) == (3, 5)
    room = again(room, grid=(Decimal(70_000), Decimal(VAT_GRID[3])))
    enclave.follow()
    assert told(enclave, room, "70000") is Reason.OVER_BUDGET


def test_a_batch_is_charged_to_the_linked_account(room: Sample, enclave: EnclaveHarness) -> None:
    room = again(room, budget_bits=TWO_CUTS)
    enclave.follow()
    assert told(enclave, room, VAT_GRID[3]) is Truth.NO
    assert told(enclave, room, VAT_GRID[1]) is Truth.YES
    room.tax.agree(room.bank, group="fresh", replaces=room.agreement)
    enclave.follow()

    def row(value: str) -> Told | Reason:
        batch = steady_batch(room, 1, 2, 3, params=({"min_vat": value},))
        return ask_batch(enclave, batch).records[0].outcome

    assert row(VAT_GRID[2]) is Reason.OVER_BUDGET
    assert row(VAT_GRID[1]) is Truth.YES


def test_what_linked_groups_asked_apart_is_priced_as_if_one_had_asked_it(
    room: Sample, enclave: EnclaveHarness
) -> None:
    mine, theirs = room.bank, room.world.bank("bank-c")
    agreed = room.tax.agree(theirs)
    room.consent(1, theirs)
    rated = room.approved("rated", "tax.rating IN ('A', 'B') OR tax.arrears IS TRUE")
    other = room.approved("other", "tax.rating = 'C' AND tax.vat_paid >= :min_vat")
    enclave.follow()

    def charged(asked: Approved | None, value: str, bank: SimBank) -> list[tuple[int, int]]:
        release = enclave.ask(room.question(1, value, asked, bank)).release
        return [(each.cells_before, each.cells_after) for each in release.charges]

    assert charged(rated, "", mine) == [(1, 4), (1, 2)]
    assert charged(None, VAT_GRID[3], mine) == [(1, 3), (2, 2)]
    assert charged(other, VAT_GRID[1], theirs) == [(1, 3), (1, 3)]
    # The banks merge: three classes and two thresholds were asked, whoever asks now.
    room.tax.agree(theirs, group=mine.name, replaces=agreed)
    enclave.follow()
    joint = [(5, 5), (5, 5)]
    assert charged(other, VAT_GRID[1], theirs) == joint
    assert charged(other, VAT_GRID[1], mine) == joint
    assert charged(rated, "", theirs) == [(5, 5), (2, 2)]
    enclave.restart()
    assert charged(other, VAT_GRID[3], mine) == joint


def test_groups_are_linked_by_whoever_was_ever_in_both() -> None:
    groups = CollusionGroups()
    for institution, group in (("a", "one"), ("b", "one"), ("b", "two"), ("c", "two"), ("d", "x")):
        groups.take(institution, group)
    assert groups.linked("one") == groups.linked("two") == ("one", "two")
    assert groups.linked("x") == ("x",)
    assert groups.linked("unheard-of") == ("unheard-of",)
    assert groups.institutions()["one"] == ("a", "b")
