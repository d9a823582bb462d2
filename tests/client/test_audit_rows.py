"""Rows of batches that receipts open are held to their charges and consents."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from saferoom_client.audit.questions import Receipts
from saferoom_client.audit.rows import JudgedRow
from saferoom_proto.answer import Truth
from saferoom_proto.batch import Record, When
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    BatchRelease,
    load,
)
from tests.client.story import ONE_CUT, Story


def judged(story: Story) -> JudgedRow:
    """Have the enclave judge a batch of one row, and say so; gives the row as its receipt does."""
    story.release()
    statement = story.batch(story.span())
    word = load(statement, BatchRelease)
    milliseconds = int(story.world.now().timestamp() * 1000)
    return JudgedRow(
        name="row.json",
        digest=statement.digest,
        word=word,
        subject=story.subject.uscc,
        index=0,
        record=Record(Truth.YES, story.consent.digest, ((1, ONE_CUT),)),
        when=When(milliseconds, len(story.followed)),
    )


def found(story: Story, row: JudgedRow) -> list[tuple[int | None, Reason]]:
    violations = story.audit(receipts=Receipts(rows=[row])).violations
    return [(each.entry, each.reason) for each in violations]


def test_a_row_that_was_allowed_and_charged_is_no_violation() -> None:
    story = Story().begin()
    row = judged(story)
    assert found(story, row) == []
    refused = replace(row, record=Record(Reason.NO_CONSENT, None, ()))
    assert found(story, refused) == []


@pytest.mark.parametrize(
    ("charges", "reason"),
    [
        (((1, 9),), Reason.OVER_BUDGET),
        (((1, 1),), Reason.OVER_BUDGET),
        ((), Reason.CERTIFICATE_MISMATCH),
    ],
)
def test_a_row_over_its_budget_or_without_a_charge_is_found(
    charges: tuple[tuple[int, int], ...], reason: Reason
) -> None:
    story = Story().begin()
    row = judged(story)
    row = replace(row, record=replace(row.record, charges=charges))
    assert found(story, row) == [(len(story.log) - 1, reason)]


def test_a_row_without_its_subjects_consent_in_force_is_found() -> None:
    story = Story().begin()
    row = judged(story)
    at = len(story.log) - 1
    late = int((story.world.now() + timedelta(days=800)).timestamp() * 1000)
    for changed in (
        replace(row, record=replace(row.record, consent=None)),
        replace(row, subject=story.world.subject(2).uscc),
        replace(row, when=When(late, row.when.sequence)),
    ):
        assert found(story, changed) == [(at, Reason.NO_CONSENT)]


def test_a_row_that_was_answered_after_its_enclave_heard_of_the_revocation_is_found() -> None:
    story = Story().begin()
    before = judged(story)
    story.follow(story.subject.revocation(story.consent))
    after = replace(before, when=When(before.when.milliseconds, len(story.followed)))
    assert found(story, before) == []
    at = story.log.index(story.spoken[-1])
    assert found(story, after) == [(at, Reason.NO_CONSENT)]
