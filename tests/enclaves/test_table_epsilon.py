"""The ledger of epsilon: what a plan costs a group, by the plans that were told alone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_enclaves.tables.privacy import MOST_NUMBERS, PaidNoise, ToldWithNoise, pay, price
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Privacy, PrivacySpent


def told(
    group: str, plan: str, epsilon: str = "0.5", cap: str = "1", numbers: int = 100
) -> ToldWithNoise:
    privacy = Privacy(epsilon=Decimal(epsilon), cap=Decimal(cap))
    return ToldWithNoise(
        group=group, plan=sha256_digest(plan.encode()), privacy=privacy, numbers=numbers
    )


def spent(charged: str, total: str, cap: str = "1") -> PrivacySpent:
    return PrivacySpent(charged=Decimal(charged), spent=Decimal(total), cap=Decimal(cap))


def refused(
    one: ToldWithNoise, before: list[ToldWithNoise], linked: tuple[str, ...]
) -> Reason | None:
    try:
        pay(one, before, linked)
    except SafeRoomError as refusal:
        return refusal.reason
    return None


def test_a_group_is_charged_for_its_own_and_for_those_that_it_is_linked_with() -> None:
    before = [told("ring", "one"), told("other", "two")]
    assert price(told("ring", "one"), before, ["ring"]) == spent("0", "0.5")
    assert price(told("ring", "two"), before, ["ring"]) == spent("0.5", "1")
    assert price(told("third", "two"), before, ["third"]) == spent("0.5", "0.5")
    # What a linked group was told costs nothing: it is the same noise. It counts all the same.
    assert price(told("ring", "two"), before, ["other", "ring"]) == spent("0", "1")
    assert refused(told("ring", "three"), before, ("other", "ring")) is Reason.OVER_BUDGET
    assert refused(told("ring", "three"), before, ("ring",)) is None


def test_a_bank_that_changes_its_group_takes_what_it_was_told_along() -> None:
    groups = CollusionGroups()
    groups.take("bank-a", "ring")
    before = [told("ring", "one"), told("ring", "two")]
    groups.take("bank-a", "fresh")
    assert refused(told("fresh", "three"), before, groups.linked("fresh")) is Reason.OVER_BUDGET


def test_groups_that_are_linked_too_late_are_told_nothing_more_but_what_they_were_told() -> None:
    names = [f"ring-{at}" for at in range(6)]
    before = [told(group, f"of {group}", "10", "20") for group in names]
    before += [told(group, f"also of {group}", "10", "20") for group in names]
    assert pay(before[0], before, names) == spent("0", "120", "20")
    assert refused(told("ring-0", "more", "0.01", "20"), before, tuple(names)) is Reason.OVER_BUDGET
    assert price(told("ring-0", "more", "0.01", "20"), before, names).spent == Decimal("120.01")


def test_the_least_cap_of_what_was_told_holds_for_what_follows() -> None:
    lavish, strict = told("ring", "lavish", "0.3", "20"), told("ring", "strict", "0.3", "0.6")
    assert pay(lavish, [], ["ring"]) == spent("0.3", "0.3", "20")
    assert pay(strict, [lavish], ["ring"]) == spent("0.3", "0.6", "0.6")
    more = told("ring", "more", "0.01", "20")
    assert refused(more, [lavish, strict], ("ring",)) is Reason.OVER_BUDGET
    assert refused(more, [lavish], ("ring",)) is None
    assert refused(told("ring", "tight", "0.4", "0.6"), [lavish], ("ring",)) is Reason.OVER_BUDGET


def test_no_more_numbers_are_kept_than_there_is_room_for() -> None:
    before = [told("ring", "one", "0.01", "20", MOST_NUMBERS - 5)]
    assert refused(told("ring", "two", "0.01", "20", 6), before, ("ring",)) is Reason.TOO_LARGE
    assert refused(told("ring", "two", "0.01", "20", 5), before, ("ring",)) is None
    assert refused(before[0], before, ("ring",)) is None


_PLANS = st.lists(
    st.tuples(st.sampled_from(("ring", "other")), st.integers(0, 5), st.integers(10, 700)),
    max_size=40,
)


@given(_PLANS)
def test_no_sequence_of_plans_tells_a_group_more_than_the_least_cap(
    asked: list[tuple[str, int, int]],
) -> None:
    before: tuple[ToldWithNoise, ...] = ()
    for group, plan, thousandths in asked:
        one = told(group, f"{plan} {thousandths}", str(Decimal(thousandths) / 1000))
        if refused(one, list(before), (group,)) is None:
            before = PaidNoise(pay(one, before, [group]), one, made=False).after(before)
    for group in ("ring", "other"):
        theirs = {each.plan: each.privacy.epsilon for each in before if each.group == group}
        assert sum(theirs.values()) <= 1


@pytest.mark.parametrize("total", ["0.4", "-1"])
def test_what_is_spent_holds_what_is_charged(total: str) -> None:
    with pytest.raises(ValueError, match=r"part of what is spent|greater than or equal"):
        spent("0.5", total)
