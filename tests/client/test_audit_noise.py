"""The auditor replays epsilon: what each group was told of the same records with noise."""

from __future__ import annotations

from decimal import Decimal

import pytest

from saferoom_client.audit.noise import Noise
from saferoom_proto.encoding import sha256_digest
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Agreement, Outcome, Privacy, PrivacySpent, TableRelease
from tests.proto import golden_examples
from tests.proto.golden_tables import words_on_tables

HALF = Privacy(epsilon=Decimal("0.5"), cap=Decimal(1))
RECORDS = ("tax", 1)


def agreed(institution: str, group: str) -> Agreement:
    made = golden_examples.payloads()["agreement"]
    assert isinstance(made, Agreement)
    return made.model_copy(update={"institution": institution, "group": group})


def told(noise: Noise, plan: str, said: str | None, **other: object) -> list[Reason]:
    """Take a word: what it says is charged, spent, and the cap; or that there is no noise."""
    group, privacy = other.pop("group", "ring"), other.pop("privacy", HALF)
    spent = None
    if said is not None:
        charged, total, cap = map(Decimal, said.split("/"))
        spent = PrivacySpent(charged=charged, spent=total, cap=cap)
    word = words_on_tables()["table-release"]
    assert isinstance(word, TableRelease)
    fields = {"certificate": sha256_digest(plan.encode()), "privacy": spent}
    release = word.model_copy(update=fields | other)
    by = agreed(f"bank of {group}", str(group))
    assert privacy is None or isinstance(privacy, Privacy)
    return [each.reason for each in noise.take(release, RECORDS, privacy, by)]


def test_what_is_charged_and_spent_as_it_should_be_is_found_right() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "one", "0/0.5/1") == []
    assert told(noise, "two", "0.5/1/1") == []
    assert told(noise, "two", "0.5/0.5/1", group="alone") == []
    assert told(noise, "three", None, outcome=Outcome.REFUSED) == []


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ("0.5/0.5/1", [Reason.STORE_ROLLED_BACK]),
        ("0/0.5/1", [Reason.OVER_BUDGET, Reason.STORE_ROLLED_BACK]),
        ("0.4/0.9/1", [Reason.OVER_BUDGET, Reason.STORE_ROLLED_BACK]),
        ("0.5/1/2", [Reason.OVER_BUDGET]),
        (None, [Reason.CERTIFICATE_MISMATCH]),
    ],
)
def test_an_enclave_that_charges_too_little_is_found(
    said: str | None, reasons: list[Reason]
) -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "two", said) == reasons


def test_what_was_told_may_be_told_again_past_the_cap_and_nothing_else() -> None:
    noise, strict = Noise(), Privacy(epsilon=Decimal("0.5"), cap=Decimal("0.5"))
    assert told(noise, "one", "0.5/0.5/0.5", privacy=strict) == []
    assert told(noise, "two", "0.5/0.5/0.5", privacy=strict, group="other") == []
    # The enclave knows an agreement that links the groups, and no word shows it yet.
    assert told(noise, "one", "0/1/0.5", privacy=strict) == []
    assert told(noise, "two", "0/1/0.5", privacy=strict) == []


def test_what_passes_the_least_cap_of_the_plans_is_found() -> None:
    noise, strict = Noise(), Privacy(epsilon=Decimal("0.5"), cap=Decimal("0.5"))
    assert told(noise, "one", "0.5/0.5/0.5", privacy=strict) == []
    assert told(noise, "two", "0.5/1/1") == [Reason.OVER_BUDGET]


def test_the_same_plan_charged_twice_and_noise_beside_none_are_found() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    assert told(noise, "one", "0.5/1/1") == [Reason.CONFLICT]
    assert told(noise, "plain", None, privacy=None) == [Reason.CONFLICT]


def test_groups_with_a_member_in_common_have_one_account() -> None:
    noise = Noise()
    assert told(noise, "one", "0.5/0.5/1") == []
    release = words_on_tables()["table-release with noise"]
    assert isinstance(release, TableRelease)
    spent = PrivacySpent(charged=Decimal("0.5"), spent=Decimal("0.5"), cap=Decimal(1))
    moved = release.model_copy(update={"privacy": spent})
    faults = noise.take(moved, RECORDS, HALF, agreed("bank of ring", "another"))
    assert [each.reason for each in faults] == [Reason.STORE_ROLLED_BACK]
