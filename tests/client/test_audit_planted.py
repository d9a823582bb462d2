"""What no rule allows, done so that the log looks whole: the auditor finds each of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from saferoom_proto.answer import Truth
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.load_order import LoadOrder
from saferoom_proto.reasons import Reason
from saferoom_proto.rollback import RollbackOrder
from saferoom_proto.statements import Consent, Feature, StoreState, load, seal_statement
from saferoom_proto.statements.consent import Paper
from tests.client.made import NOTHING
from tests.client.story import VAT, Story, records

PATIENCE = timedelta(seconds=61).total_seconds()
"""Longer than the charter lets a revocation be on its way."""


def told(story: Story) -> Envelope:
    """Have the enclave answer, a first time in its period."""
    story.cells = 1
    return story.release()


def last(story: Story, *reasons: Reason) -> list[tuple[int | None, Reason]]:
    """The violations of a log of which the last entry alone is wrong."""
    return [(len(story.log) - 1, reason) for reason in reasons]


def test_loads_that_an_approver_ordered_open_periods() -> None:
    story = Story().begin()
    told(story)
    story.load(2)
    told(story)
    story.load(4)  # a load that failed took the number between
    told(story)
    assert story.found() == []


def test_a_period_that_was_never_loaded_has_no_budget() -> None:
    story = Story().begin()
    told(story)
    story.cells = 1
    story.release(Truth.YES, store=StoreState(epoch=2, digest=records(2)))
    assert story.found() == last(story, Reason.STORE_ROLLED_BACK)
    # Nor has one that names records of another period.
    story.cells = 1
    story.release(Truth.YES, store=StoreState(epoch=3, digest=records(1)))
    assert story.found()[1:] == last(story, Reason.STORE_ROLLED_BACK)


def test_an_enclave_that_tells_of_records_from_before_its_last_load_is_found() -> None:
    story = Story().begin()
    former = story.store
    story.load(2)
    story.release(Truth.YES, store=former)
    assert story.found() == last(story, Reason.STORE_ROLLED_BACK)


def nobody(story: Story) -> Envelope:
    """What is no order."""
    return story.consent


def not_an_approver(story: Story) -> Envelope:
    """An order that names an approver, and that a stranger signed."""
    order = story.order()
    story.log[-1] = seal_statement(load(order, LoadOrder), SigningKey.generate())
    return story.log[-1]


def of_other_records(story: Story) -> Envelope:
    """An order for a load in the place of other records."""
    return story.order(follows=records(7))


def never_loaded(story: Story) -> Envelope:
    """An order to go back to records that were never there."""
    return rollback(story, records(7))


def rollback(story: Story, to: str) -> Envelope:
    assert story.store is not None
    order = RollbackOrder(
        room=story.world.room,
        owner="tax",
        approver="li",
        to=to,
        follows=story.store.digest,
        why="a wrong file",
        at=story.world.now(),
    )
    story.log.append(seal_statement(order, story.tax.approvers["li"]))
    return story.log[-1]


@pytest.mark.parametrize(
    ("ordered", "reason"),
    [
        (nobody, Reason.UNKNOWN_STATEMENT),
        (not_an_approver, Reason.BAD_SIGNATURE),
        (of_other_records, Reason.CONFLICT),
        (never_loaded, Reason.STORE_ROLLED_BACK),
    ],
)
def test_a_period_that_no_approver_ordered_is_found(
    ordered: Callable[[Story], Envelope], reason: Reason
) -> None:
    story = Story().begin()
    told(story)
    story.load(2, ordered(story))
    assert story.found() == last(story, reason)


def test_one_order_opens_one_period() -> None:
    story = Story().begin()
    order = story.order()
    story.load(2, order)
    assert story.found() == []
    story.load(3, order, previous=StoreState(epoch=1, digest=records(1)))
    assert story.found() == last(story, Reason.CONFLICT, Reason.STORE_ROLLED_BACK)


def test_a_rollback_is_a_period_of_its_own_and_none_that_was_there() -> None:
    story = Story().begin()
    story.load(2)
    story.load(3, rollback(story, records(1)))
    assert story.found() == []
    story.load(2, rollback(story, records(2)))
    assert story.found() == last(story, Reason.STORE_ROLLED_BACK)


def test_a_word_that_is_hidden_behind_an_erased_entry_leaves_a_gap() -> None:
    """Nothing vouches for what a room shows in the place of what it erased."""
    story = Story().begin()
    first = told(story)
    at = len(story.log) - 1
    assert story.audit(erased=[at]).violations == []
    hidden = story.release()
    story.release()
    story.log[story.log.index(hidden)] = first
    found = story.audit(erased=[at + 1]).violations
    assert (at + 2, Reason.BAD_PROOF) in [(each.entry, each.reason) for each in found]


def test_a_certificate_that_calls_a_feature_free_lets_nothing_out() -> None:
    """As many approvers as are needed signed it, and the enclave charged nothing."""
    story = Story()
    derived = load(story.certificate, ReleaseCertificate)
    (part,) = derived.parts
    uses = tuple(use.model_copy(update={"level": 1, "charged": False}) for use in part.features)
    lax = part.model_copy(update={"features": uses, "needs_consent": False})
    story.certificate = seal_statement(derived.model_copy(update={"parts": (lax,)}), story.bank.key)
    story.approvals = tuple(story.tax.approve(story.template, story.certificate.digest))
    story.begin()
    story.release(Truth.YES, charges=(), consent=None)
    assert story.found() == last(story, Reason.CERTIFICATE_MISMATCH)


def test_an_enclave_that_goes_on_with_a_former_definition_is_found() -> None:
    story = Story().begin()
    fields = load(story.feature, Feature).model_dump() | {"version": 2, "level": 2}
    newer = story.tax.define(Feature.model_validate(fields))
    story.hear_nothing_of(newer)
    story.release()
    assert story.found() == []
    story.followed.append(newer)
    story.release()
    assert story.found() == last(story, Reason.CERTIFICATE_MISMATCH)
    story.certificate = story.bank.certificate(story.template)
    story.approvals = tuple(story.tax.approve(story.template, story.certificate.digest))
    story.follow(story.certificate, *story.approvals)
    before = story.found()
    story.release()
    assert story.found() == before


def test_a_consent_that_another_owners_registrar_took_is_found() -> None:
    story = Story()
    court = story.world.owner("court", registrars=("notary",))
    key = SigningKey.generate()
    certified = story.world.issuer.issue("urn:saferoom:org:notary:desk", key.verify_key)
    paper = Paper(registrar="notary", scan=NOTHING)
    says = story.subject.consent(story.bank, VAT, certificate=b64(certified), paper=paper)
    story.consent = seal_statement(load(says, Consent), key)
    story.log.append(court.charters[0])
    story.begin()
    story.release()
    assert story.found() == last(story, Reason.NO_CONSENT)


def test_no_owner_ends_what_another_agreed() -> None:
    """Else an enclave would stand accused that never hears of it."""
    story = Story().begin()
    court = story.world.owner("court")
    story.hear_nothing_of(court.charters[0])
    at = len(story.log)
    story.hear_nothing_of(court.agree(story.bank, replaces=story.agreement))
    story.hear_nothing_of(court.end(story.agreement))
    story.world.clock.advance(PATIENCE)
    told(story)
    assert story.found() == [(at, Reason.UNKNOWN_STATEMENT), (at + 1, Reason.UNKNOWN_STATEMENT)]


def test_an_approval_from_before_a_withdrawal_that_comes_after_it_counts_for_nothing() -> None:
    story = Story().begin()
    story.release()
    story.world.clock.advance(5)
    kept_back = tuple(story.tax.approve(story.template, story.certificate.digest))
    story.world.clock.advance(5)
    withdrawn = story.tax.withdraw(story.template)
    story.release()
    story.follow(withdrawn, *kept_back)
    story.approvals = kept_back
    story.release()
    assert story.found() == last(story, Reason.NOT_APPROVED)


Ending = Callable[[Story], Envelope]
ENDINGS: list[tuple[Ending, Reason]] = [
    (lambda story: story.tax.pause(), Reason.PAUSED),
    (lambda story: story.tax.withdraw(story.template), Reason.NOT_APPROVED),
    (lambda story: story.tax.end(story.agreement), Reason.NO_AGREEMENT),
]


@pytest.mark.parametrize(("ending", "reason"), ENDINGS)
def test_rows_of_a_batch_are_held_to_what_the_enclave_had_heard_by_each(
    ending: Ending, reason: Reason
) -> None:
    story = Story().begin()
    before = story.span(3)
    story.follow(ending(story))
    refused = story.span(2, approvals=())
    # It stopped when it heard, and said so when it was through with all rows.
    story.world.clock.advance(PATIENCE)
    story.batch(before, refused)
    assert story.found() == []
    after = story.span(2)
    story.batch(before, after, request=records(2))
    assert story.found() == last(story, reason)


@pytest.mark.parametrize(("ending", "reason"), ENDINGS)
def test_what_is_kept_from_an_enclave_while_it_judges_a_batch_is_found(
    ending: Ending, reason: Reason
) -> None:
    story = Story().begin()
    told(story)
    story.hear_nothing_of(ending(story))
    story.batch(story.span(3))
    assert story.found() == []
    story.world.clock.advance(PATIENCE)
    story.batch(story.span(3), request=records(2))
    assert story.found() == last(story, reason)


def test_rows_that_rest_on_nothing_are_found() -> None:
    story = Story().begin()
    story.batch(story.span(1, approvals=()), answered=1, refused=0)
    assert story.found() == last(story, Reason.NOT_APPROVED)
    story = Story().begin()
    story.batch(story.span(charter=NOTHING))
    assert story.found() == last(story, Reason.BAD_CHARTER)
    story = Story().begin()
    story.batch(story.span(agreement=NOTHING))
    assert story.found() == last(story, Reason.NO_AGREEMENT)
    story = Story().begin()
    story.batch(story.span(store=StoreState(epoch=2, digest=records(2))))
    assert story.found() == last(story, Reason.STORE_ROLLED_BACK)


def test_rows_under_a_charter_after_the_next_one_was_heard_of_are_found() -> None:
    story = Story().begin()
    former, before = story.tax.charter.digest, story.span()
    story.follow(story.tax.adopt())
    story.batch(before, story.span(charter=former), charter=former)
    assert (len(story.log) - 1, Reason.BAD_CHARTER) in story.found()


def test_a_batch_that_was_judged_twice_is_found() -> None:
    story = Story().begin()
    story.batch(story.span(), request=records(1))
    story.batch(story.span(), request=records(2))
    assert story.found() == []
    story.batch(story.span(), request=records(1))
    assert story.found() == last(story, Reason.CONFLICT)
