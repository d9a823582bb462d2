"""The auditor's rules: each violation is found, at its entry, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from saferoom_client.audit.book import Book
from saferoom_client.audit.entries import TAKES
from saferoom_client.audit.run import Auditor
from saferoom_client.audit.words import Words
from saferoom_client.values import LogEntry
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Dispute,
    Feature,
    FeatureTrial,
    Finding,
    Pause,
    Payload,
    Refusal,
    Release,
    TemplateRefusal,
    load,
    seal_statement,
)
from simulator import World
from tests.client.story import VAT, Story
from tests.proto.kinds import recorded_kinds


def test_a_whole_log_has_no_violation() -> None:
    story = Story().begin()
    story.release()
    story.release(Truth.NO)
    story.release(Reason.OVER_BUDGET, approvals=(), consent=None)
    auditor = story.audit()
    assert auditor.violations == []
    assert (auditor.judged, auditor.unjudged, auditor.crossed) == (len(story.log), 0, 0)


Writes = Callable[[Story], Envelope]

GROUNDS: list[tuple[Writes, Reason]] = [
    (lambda story: story.approvals[0], Reason.NOT_APPROVED),
    (lambda story: story.agreement, Reason.NO_AGREEMENT),
    (lambda story: story.consent, Reason.NO_CONSENT),
    (lambda story: story.certificate, Reason.CERTIFICATE_MISMATCH),
    (lambda story: story.enclave.endorsement, Reason.BAD_ENDORSEMENT),
]
ENDINGS: list[tuple[Writes, Reason]] = [
    (lambda story: story.subject.revocation(story.consent), Reason.NO_CONSENT),
    (lambda story: story.tax.withdraw(story.template), Reason.NOT_APPROVED),
    (lambda story: story.tax.end(story.agreement), Reason.NO_AGREEMENT),
]


@pytest.mark.parametrize(("left_out", "reason"), GROUNDS)
def test_what_an_answer_rests_on_stands_before_it(left_out: Writes, reason: Reason) -> None:
    story = Story()
    missing = left_out(story)
    story.begin(missing)
    story.release()
    at = len(story.log) - 1
    assert (at, reason) in story.found()
    # After it is too late.
    story.log.append(missing)
    assert (at, reason) in story.found()


@pytest.mark.parametrize(("ending", "reason"), ENDINGS)
def test_what_was_taken_back_allows_nothing_more(ending: Writes, reason: Reason) -> None:
    heard = Story().begin()
    heard.release()
    heard.follow(ending(heard))
    heard.release()
    assert heard.found() == [(len(heard.log) - 1, reason)]
    # On its way when the enclave spoke: as the charter allows.
    crossed = Story().begin()
    crossed.release()
    crossed.hear_nothing_of(ending(crossed))
    crossed.release()
    auditor = crossed.audit()
    assert (auditor.violations, auditor.crossed) == ([], 1)
    # Kept from it for longer than that.
    kept = Story().begin()
    kept.release()
    kept.hear_nothing_of(ending(kept))
    kept.world.clock.advance(timedelta(seconds=61).total_seconds())
    kept.release()
    assert kept.found() == [(len(kept.log) - 1, reason)]


def pause(story: Story, approver: str, *, paused: bool, **changes: object) -> Envelope:
    says: dict[str, object] = {
        "room": story.world.room,
        "owner": "tax",
        "approver": approver,
        "template": None,
        "paused": paused,
        "why": "a doubt",
        "at": story.world.now(),
    }
    return seal_statement(Pause.model_validate(says | changes), story.tax.approvers[approver])


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_stopped_answers_nothing_until_as_many_as_approve_let_it_go_on(
    whole: bool,
) -> None:
    story = Story().begin()
    target: dict[str, object] = {"template": None if whole else story.template.digest}
    story.release()
    story.follow(pause(story, "li", paused=True, **target))
    story.release()
    expected = [(len(story.log) - 1, Reason.PAUSED)]
    assert story.found() == expected
    for approver, still in (("li", True), ("wang", False)):
        story.world.clock.advance(1)
        story.follow(pause(story, approver, paused=False, **target))
        story.release()
        expected += [(len(story.log) - 1, Reason.PAUSED)] if still else []
        assert story.found() == expected


def test_a_stop_that_was_kept_from_the_enclave_is_found_and_one_on_its_way_is_not() -> None:
    story = Story().begin()
    story.release()
    story.hear_nothing_of(pause(story, "li", paused=True))
    story.release()
    auditor = story.audit()
    assert (auditor.violations, auditor.crossed) == ([], 1)
    story.world.clock.advance(timedelta(seconds=61).total_seconds())
    story.release()
    assert story.found() == [(len(story.log) - 1, Reason.PAUSED)]
    # A stop of another template's use stops nothing here.
    other = Story().begin()
    other.follow(pause(other, "li", paused=True, template="sha256:" + "1" * 64))
    other.release()
    assert other.found() == []


def test_an_enclave_says_no_more_under_a_charter_that_was_replaced() -> None:
    story = Story().begin()
    following = story.tax.next_charter(max_head_age_seconds=30)
    story.hear_nothing_of(following)
    story.release()
    assert story.found() == []
    story.followed.append(following)
    story.release()
    assert story.found() == [(len(story.log) - 1, Reason.BAD_CHARTER)]


def test_fresh_approvals_after_a_withdrawal_count() -> None:
    story = Story().begin()
    story.follow(story.tax.withdraw(story.template))
    story.world.clock.advance(1)
    story.approvals = tuple(story.tax.approve(story.template, story.certificate.digest))
    story.follow(*story.approvals)
    story.release()
    assert story.found() == []


def test_a_consent_of_other_features_or_to_another_bank_covers_nothing() -> None:
    for consent in (
        Story().subject.consent("bank-a", ("tax.arrears",)),
        Story().subject.consent("bank-b", VAT),
    ):
        story = Story()
        story.consent = consent
        story.begin()
        story.release()
        assert story.found() == [(len(story.log) - 1, Reason.NO_CONSENT)]


def test_an_answer_above_level_one_names_a_consent() -> None:
    story = Story().begin()
    story.release(Truth.YES, consent=None)
    assert story.found() == [(len(story.log) - 1, Reason.NO_CONSENT)]


def test_a_word_of_nobody_endorsed_is_found() -> None:
    story = Story().begin()
    story.release(Truth.YES, SigningKey.generate())
    assert (len(story.log) - 1, Reason.BAD_SIGNATURE) in story.found()


def test_an_enclave_that_was_brought_something_else_is_found() -> None:
    story = Story().begin()
    story.followed.pop()
    story.release()
    story.followed.append(story.tax.charters[0])
    story.release()
    at = len(story.log)
    assert story.found() == [(at - 2, Reason.BROKEN_STREAM), (at - 1, Reason.BROKEN_STREAM)]


def test_an_enclave_that_was_turned_back_is_found() -> None:
    story = Story().begin()
    story.release()
    story.release()
    story.spoken.pop()
    story.release()
    assert (len(story.log) - 1, Reason.STORE_ROLLED_BACK) in story.found()


def test_a_word_that_is_missing_in_the_log_is_found_by_the_one_after_it() -> None:
    story = Story().begin()
    story.release()
    hidden = story.release()
    story.release()
    story.log.remove(hidden)
    assert story.found() == [(len(story.log) - 1, Reason.BAD_PROOF)]


def test_an_entry_that_commits_to_something_else_is_found() -> None:
    story = Story().begin()
    story.release()
    assert (3, Reason.BAD_PROOF) in story.found(spoilt=[3])


def test_a_refusal_that_the_room_did_not_sign_is_found() -> None:
    story = Story().begin()
    refusal = Refusal(
        room=story.world.room,
        request="sha256:" + "0" * 64,
        institution="bank-a",
        owner=None,
        reason=Reason.WRONG_PURPOSE,
        time=story.world.now(),
    )
    story.log.append(seal_statement(refusal, story.world.heads))
    story.log.append(seal_statement(refusal, SigningKey.generate()))
    assert story.found() == [(len(story.log) - 1, Reason.BAD_SIGNATURE)]


def by_an_approver(story: Story) -> list[Payload]:
    """Make one of each that an approver says and nothing else in the log rests on."""
    says: dict[str, object] = {
        "room": story.world.room,
        "owner": "tax",
        "approver": "li",
        "at": story.world.now(),
    }
    trial: dict[str, object] = {
        "draft": load(story.feature, Feature),
        "reply_key": b64(story.world.seeds.sealing("trial").public),
    }
    no: dict[str, object] = {"template": story.template.digest, "why": "asks too much"}
    return [
        FeatureTrial.model_validate(says | trial),
        TemplateRefusal.model_validate(says | no),
        Pause.model_validate(says | no | {"paused": True}),
    ]


def test_what_an_approver_says_is_judged_by_the_key_of_the_approver_it_names() -> None:
    story = Story().begin()
    first = len(story.log)
    for payload in by_an_approver(story):
        story.log.append(seal_statement(payload, story.tax.approvers["li"]))
        story.log.append(seal_statement(payload, story.tax.approvers["wang"]))
    auditor = story.audit()
    found = [(each.entry, each.reason) for each in auditor.violations]
    assert found == [(first + at, Reason.BAD_SIGNATURE) for at in (1, 3, 5)]
    assert auditor.unjudged == 0


def test_every_kind_of_statement_that_is_recorded_has_its_rule() -> None:
    world = World("audit")
    ruled = TAKES.keys() | Words(Book(world.trust()), [world.heads.verify_key]).judges.keys()
    assert ruled == {kind.payload_type() for kind in recorded_kinds()}


def test_every_violation_is_told_and_earlier_ones_only_if_they_are_asked_for() -> None:
    story = Story().begin()
    story.release(Truth.YES, consent=None)
    story.release(Truth.YES, approvals=(story.consent.digest,))
    first = len(story.log) - 2
    expected = [(first, Reason.NO_CONSENT), (first + 1, Reason.NOT_APPROVED)]
    assert story.found() == expected
    assert story.found(since=first + 1) == expected[1:]


def test_of_an_owner_whose_root_is_not_pinned_nothing_is_judged_and_it_is_said() -> None:
    story = Story().begin()
    said = story.release(Truth.YES, consent=None)
    trust = story.world.trust().model_copy(update={"charter_roots": {}})
    auditor = Auditor(Book(trust), [story.world.heads.verify_key], 0)
    for index, statement in enumerate(story.log):
        salt = os.urandom(32)
        entry = leaf(commitment(salt, statement.digest))
        auditor.take(LogEntry(index, entry, statement, salt))
    assert (auditor.violations, auditor.unpinned) == ([], {"tax"})
    assert load(said, Release).owner == "tax"


def test_what_is_said_of_disputes_is_said_by_the_two_sides() -> None:
    story = Story().begin()
    tax, firm = story.tax, story.subject
    first, second = firm.dispute(), firm.dispute()
    loaded = story.load(8)
    story.log.remove(loaded)
    corrected = tax.answer(first, finding=Finding.CORRECTED, epoch=8)
    story.log += [first, second, tax.answer(first), firm.withdraw(second), loaded, corrected]
    assert story.found() == []
    assert story.found(since=len(story.log) - 1) == []  # what came before is known all the same
    other = story.world.subject(2)
    told: list[tuple[Envelope, Reason]] = [
        (tax.answer(first, other.key), Reason.BAD_SIGNATURE),
        (tax.answer(first, charter=story.feature.digest), Reason.BAD_CHARTER),
        (tax.answer(first, subject=other.uscc), Reason.UNKNOWN_STATEMENT),
        (tax.answer(firm.dispute()), Reason.UNKNOWN_STATEMENT),
        (tax.answer(first, finding=Finding.CORRECTED, epoch=9), Reason.UNKNOWN_STATEMENT),
        (firm.withdraw(first, other.key), Reason.BAD_SIGNATURE),
        (other.withdraw(first), Reason.UNKNOWN_STATEMENT),
    ]
    begun = len(story.log)
    story.log += [statement for statement, _ in told]
    assert story.found() == [(begun + at, reason) for at, (_, reason) in enumerate(told)]


def test_a_dispute_that_its_owner_leaves_open_is_due_after_twenty_days() -> None:
    story = Story().begin()
    tax, firm = story.tax, story.subject
    left, passed_on, settled, taken_back = (firm.dispute() for _ in range(4))
    other = story.world.subject(2)
    story.log += [left, passed_on, settled, taken_back]
    begun = story.log.index(left)
    story.log += [
        tax.answer(passed_on, finding=Finding.PASSED_ON),
        tax.answer(settled, finding=Finding.STANDS),
        firm.withdraw(taken_back),
        tax.answer(left, other.key, finding=Finding.STANDS),  # nobody's word settles nothing
    ]
    auditor, asked = story.audit(), load(left, Dispute).at
    assert [each.reason for each in auditor.violations] == [Reason.BAD_SIGNATURE]
    assert auditor.overdue(asked + timedelta(days=20)) == ()
    due = auditor.overdue(asked + timedelta(days=20, seconds=1))
    assert [(each.entry, each.owner) for each in due] == [(begun, "tax"), (begun + 1, "tax")]
