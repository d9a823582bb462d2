"""The auditor and an older copy that went on: told of it, and held to what was decided."""

from __future__ import annotations

from collections.abc import Sequence

from saferoom_proto import chain
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    ChainLink,
    Charge,
    Recovered,
    seal_statement,
)
from tests.client.story import ONE_CUT, VAT, Story

APPROVERS = ("chen", "li")


def copy(story: Story) -> ChainLink:
    """Give where the chain of a copy ends that was made after the first load."""
    return ChainLink(index=1, previous=chain.head_of([story.spoken[0].digest]))


def recover(
    story: Story,
    approvers: Sequence[str] = APPROVERS,
    follows: ChainLink | None = None,
    **changes: object,
) -> None:
    """Have approvers decide, and the enclave go on from a copy."""
    goes_on = follows or story.link
    said = [story.tax.recovery(copy(story), goes_on, 1, each) for each in approvers]
    story.log += said
    story.log.append(word(story, said, goes_on, **changes))
    story.spoken.append(story.log[-1])


def word(story: Story, said: Sequence[Envelope], at: ChainLink, **changes: object) -> Envelope:
    fields: dict[str, object] = {
        "room": story.world.room,
        "owner": "tax",
        "endorsement": story.enclave.endorsement.digest,
        "recoveries": tuple(sorted(each.digest for each in said)),
        "found": copy(story),
        "store": story.store,
        "stream": story.heard,
        "closed_epoch": 1,
        "chain": at,
        "time": story.world.now(),
    }
    return seal_statement(Recovered.model_validate(fields | changes), story.enclave.identity)


def charged(before: int, after: int) -> dict[str, object]:
    return {"charges": (Charge(feature=VAT[0], cells_before=before, cells_after=after),)}


def begun() -> Story:
    story = Story().begin()
    story.release()
    return story


def test_a_decision_that_was_carried_out_is_no_violation_and_is_told() -> None:
    story = begun()
    recover(story)
    story.release(**charged(1, 1))  # what the copy knows was asked is answered again
    auditor = story.audit()
    assert auditor.violations == []
    (told,) = auditor.recovered
    assert (told.found.index, told.chain.index, told.closed_epoch) == (1, 2, 1)


def test_budget_of_a_closed_period_that_is_spent_is_found() -> None:
    story = begun()
    recover(story)
    story.release(**charged(1, ONE_CUT))
    assert story.found() == [(len(story.log) - 1, Reason.OVER_BUDGET)]


def test_one_approver_where_two_are_needed_is_found() -> None:
    story = begun()
    recover(story, APPROVERS[:1])
    assert story.found() == [(len(story.log) - 1, Reason.NOT_APPROVED)]


def test_a_word_without_a_decision_before_it_is_found() -> None:
    story = begun()
    at = story.link
    said = [story.tax.recovery(copy(story), at, 1, each) for each in APPROVERS]
    story.log.append(word(story, said, at))
    assert story.found() == [(len(story.log) - 1, Reason.UNKNOWN_STATEMENT)]


def test_an_enclave_that_goes_on_elsewhere_or_gives_budget_back_is_found() -> None:
    story = begun()
    recover(story, found=ChainLink(index=0, previous=story_digest()))
    assert story.found() == [(len(story.log) - 1, Reason.STORE_ROLLED_BACK)]
    story = begun()
    recover(story, closed_epoch=0)
    # By what its owner decided, and by the period that began before.
    assert story.found() == [(len(story.log) - 1, Reason.OVER_BUDGET)] * 2


def story_digest() -> str:
    return "sha256:" + "a" * 64


def test_a_gap_in_the_log_is_its_approvers_to_answer_for() -> None:
    """The log was put back, too: only the key agent knew how far the chain was."""
    story = begun()
    recover(story, follows=ChainLink(index=7, previous=story_digest()))
    assert story.audit().violations == []


def test_a_gap_that_nobody_decided_is_found() -> None:
    story = begun()
    story.release(chain=ChainLink(index=7, previous=story_digest()))
    assert story.found() == [(len(story.log) - 1, Reason.BAD_PROOF)]


def test_a_period_that_was_left_out_of_the_decision_is_found() -> None:
    """The room said that the first period was the last, and its approvers signed that."""
    story = begun()
    story.load(2)
    assert story.found() == []
    recover(story)
    assert story.found() == [(len(story.log) - 1, Reason.OVER_BUDGET)]
    recover(story, closed_epoch=2)
    assert len(story.found()) == 1
