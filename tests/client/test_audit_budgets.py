"""The auditor replays budgets and consents' uses, without questions or answers; with them, cuts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from saferoom_client.audit.accounts import Accounts, Charged
from saferoom_client.audit.questions import Opened, Receipts, read_receipts
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.keys import SigningKey
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Charge,
    Charter,
    CheckRequest,
    Feature,
    Purpose,
    load,
    seal_statement,
)
from saferoom_proto.use_receipt import UseReceipt
from tests.client.made import MadeEnclave
from tests.client.story import ONE_CUT, VAT, Story


def charged(before: int, after: int) -> tuple[Charge, ...]:
    return (Charge(feature=VAT[0], cells_before=before, cells_after=after),)


def opened(story: Story) -> Receipts:
    """Open every question of a story, as receipts would."""
    receipts = Receipts()
    for each in story.asked:
        receipts.questions[each.digest] = Opened("use.json", each, load(each, CheckRequest))
    return receipts


def found(story: Story, receipts: Receipts | None = None) -> list[tuple[int | None, Reason]]:
    return [(each.entry, each.reason) for each in story.audit(receipts=receipts).violations]


def test_an_answer_over_its_budget_is_found() -> None:
    story = Story().begin()
    story.release()
    story.release(Truth.YES, charges=charged(ONE_CUT, 8))
    assert found(story) == []
    story.release(Truth.YES, charges=charged(8, 9))
    assert found(story) == [(len(story.log) - 1, Reason.OVER_BUDGET)]


def test_an_account_that_was_set_back_is_found() -> None:
    story = Story().begin()
    story.release()
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    assert found(story) == [(len(story.log) - 1, Reason.OVER_BUDGET)]
    # Also where only later entries are judged: what was charged before them still counts.
    assert [each.entry for each in story.audit(since=len(story.log) - 1).violations] == [
        len(story.log) - 1
    ]


def test_an_account_that_was_begun_anew_under_another_group_is_found() -> None:
    """What a bank was told it still knows when its next agreement names another group."""
    story = Story().begin()
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    story.agreement = story.tax.agree(story.bank, group="fresh", replaces=story.agreement)
    story.follow(story.agreement)
    story.release(Truth.YES, charges=charged(ONE_CUT, ONE_CUT))
    assert found(story) == []
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    assert found(story) == [(len(story.log) - 1, Reason.OVER_BUDGET)]


def test_groups_are_linked_by_an_agreement_that_nobody_asked_under() -> None:
    """An enclave that leaves it out begins an account anew."""
    story = Story().begin()
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    friend = story.world.bank("bank-b")
    own = story.tax.agree(friend)
    story.follow(own, story.tax.agree(friend, group="bank-a", replaces=own))
    story.bank, story.agreement = friend, own
    story.consent = story.subject.consent(friend, VAT)
    story.follow(story.consent)
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    at = len(story.log) - 1
    assert (at, Reason.OVER_BUDGET) in found(story)


def test_what_batches_charged_in_between_is_no_violation() -> None:
    story = Story().begin()
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    story.release(Truth.YES, charges=charged(5, 5))
    assert found(story) == []


@pytest.mark.parametrize(
    ("charges", "reason"),
    [
        ((), Reason.CERTIFICATE_MISMATCH),
        (charged(1, 1), Reason.OVER_BUDGET),
        (charged(5, 3), Reason.OVER_BUDGET),
        (charged(1, 3) * 2, Reason.CERTIFICATE_MISMATCH),
        (
            (Charge(feature="tax.arrears", cells_before=1, cells_after=2),),
            Reason.CERTIFICATE_MISMATCH,
        ),
    ],
)
def test_an_answer_that_was_not_charged_is_found(
    charges: tuple[Charge, ...], reason: Reason
) -> None:
    story = Story().begin()
    story.release(Truth.YES, charges=charges)
    assert found(story) == [(len(story.log) - 1, reason)]


def test_a_group_that_is_another_has_an_account_of_its_own() -> None:
    story = Story().begin()
    story.release()
    story.bank = story.world.bank("bank-b")
    story.agreement = story.tax.agree(story.bank)
    story.consent = story.subject.consent(story.bank, VAT)
    story.follow(story.agreement, story.consent)
    story.release(Truth.YES, charges=charged(1, ONE_CUT))
    assert found(story) == []


def test_entries_in_another_order_than_the_enclaves_own_are_judged_in_its_own() -> None:
    story = Story().begin()
    first = story.release(Truth.YES, charges=charged(1, ONE_CUT))
    second = story.release(Truth.YES, charges=charged(ONE_CUT, 5))
    story.log[-2:] = [second, first]
    assert found(story) == []


def test_a_familys_cap_counts_all_periods_together() -> None:
    story = Story().begin()
    limits = load(story.tax.charters[0], Charter).limit(3)
    periods = int(limits.family_bits // 3)
    for epoch in range(1, periods + 2):
        if epoch > 1:
            story.load(epoch)
        story.release(Truth.YES, charges=charged(1, 8))
    assert found(story) == [(len(story.log) - 1, Reason.OVER_BUDGET)]


class Replay:
    """One group's charges about one subject, under a cap of three bits for each family."""

    def __init__(self) -> None:
        story = Story()
        charter = load(story.tax.charters[0], Charter)
        limits = charter.limit(3).model_copy(update={"family_bits": Decimal(3)})
        limited = (*charter.limits[:2], limits, limits)
        self.charter = charter.model_copy(update={"limits": limited})
        self.feature, self.digest = load(story.feature, Feature), story.feature.digest
        self.accounts = Accounts()

    def faults(
        self, epoch: int, moment: datetime, before: int, after: int, family: str = "money"
    ) -> int:
        """Charge a question, and count what is wrong with it."""
        feature = self.feature.model_copy(update={"family": family})
        asked = Charged(
            account=("tax", "bank-a", "S"),
            linked=("bank-a",),
            epoch=epoch,
            moment=moment,
            charter=self.charter,
            charges=charged(before, after),
            features={VAT[0]: (feature, PinnedFeature(feature, self.digest).shape)},
            asked=None,
        )
        return len(list(self.accounts.charge(asked)))


@pytest.mark.parametrize(("months", "faults"), [(35, 1), (37, 0)])
def test_a_period_counts_for_36_months_after_its_end(months: int, faults: int) -> None:
    replay = Replay()
    began = datetime(2026, 1, 31, tzinfo=UTC)
    ended = datetime(2026, 5, 31, tzinfo=UTC)
    replay.accounts.open_period("tax", 1, began)
    replay.accounts.open_period("tax", 2, ended)
    assert replay.faults(1, began, 1, 8) == 0
    assert replay.faults(2, ended + timedelta(days=30.5) * months, 1, 8) == faults


def test_what_was_told_of_a_feature_that_left_its_family_still_weighs_on_it() -> None:
    replay, now = Replay(), datetime(2026, 1, 31, tzinfo=UTC)
    assert replay.faults(1, now, 1, 4) == 0
    assert replay.faults(1, now, 4, 8, "sales") == 0
    assert replay.faults(2, now, 1, 2, "grades") == 0
    assert replay.faults(3, now, 1, 2, "sales") == 1
    assert replay.faults(4, now, 1, 2) == 1


def test_a_consent_is_used_no_more_often_than_it_says() -> None:
    story = Story()
    story.consent = story.subject.consent(story.bank, VAT, uses=2)
    story.begin()
    story.release()
    story.release()
    assert found(story) == []
    story.release()
    assert found(story) == [(len(story.log) - 1, Reason.CONSENT_USED_UP)]


def test_a_question_that_was_answered_twice_is_found() -> None:
    story = Story().begin()
    story.release()
    story.release(Truth.NO, request=story.asked[0].digest)
    assert found(story) == [(len(story.log) - 1, Reason.CONFLICT)]


def test_with_the_questions_a_price_below_their_cuts_is_found() -> None:
    story = Story().begin()
    story.release(Truth.YES, charges=charged(1, 2))
    assert found(story) == []
    auditor = story.audit(receipts=opened(story))
    assert [each.reason for each in auditor.violations] == [Reason.OVER_BUDGET]
    assert [str(each.named) for each in auditor.violations] == ["release of tax"]
    assert (auditor.replayed, auditor.opened) == (1, 1)


def other_subject(story: Story, asked: CheckRequest) -> CheckRequest:
    return asked.model_copy(update={"subject": story.world.subject(2).uscc})


def other_purpose(story: Story, asked: CheckRequest) -> CheckRequest:
    del story
    return asked.model_copy(update={"purpose": Purpose.SUPERVISION})


def too_late(story: Story, asked: CheckRequest) -> CheckRequest:
    del story
    before = asked.not_before - timedelta(minutes=5)
    return asked.model_copy(
        update={"not_before": before - timedelta(minutes=5), "not_after": before}
    )


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (other_subject, {Reason.NO_CONSENT}),
        (other_purpose, {Reason.WRONG_PURPOSE, Reason.NO_CONSENT, Reason.NO_AGREEMENT}),
        (too_late, {Reason.EXPIRED}),
    ],
)
def test_with_the_questions_an_answer_to_one_that_was_not_allowed_is_found(
    change: Callable[[Story, CheckRequest], CheckRequest], reasons: set[Reason]
) -> None:
    story = Story().begin()
    asked = load(
        story.bank.request(story.subject, story.template, story.certificate, {}), CheckRequest
    )
    question = seal_statement(change(story, asked), story.bank.key)
    story.release(Truth.YES, request=question.digest)
    story.asked[:] = [question]
    assert found(story) == []
    entry, reason = found(story, opened(story))[0]
    assert entry == len(story.log) - 1
    assert reason in reasons


def test_a_question_that_the_bank_did_not_sign_is_found() -> None:
    story = Story().begin()
    asked = load(
        story.bank.request(story.subject, story.template, story.certificate, {}), CheckRequest
    )
    question = seal_statement(asked, SigningKey.generate())
    story.release(Truth.YES, request=question.digest)
    story.asked[:] = [question]
    assert found(story, opened(story)) == [(len(story.log) - 1, Reason.BAD_SIGNATURE)]


def receipt_of(story: Story, word: Envelope, question: Envelope) -> UseReceipt:
    recorded = story.world.ledger.recorded(word)

    def text(envelope: Envelope) -> str:
        return envelope.to_json().decode()

    return UseReceipt(
        charter=text(story.tax.charters[0]),
        endorsement=text(story.enclave.endorsement),
        word=text(word),
        salt=b64(recorded.salt),
        proof=recorded.proof,
        question=text(question),
    )


def test_a_receipt_whose_question_was_spoilt_hides_no_other_and_accuses_nobody(
    tmp_path: Path,
) -> None:
    story = Story().begin()
    word = story.release()
    right = receipt_of(story, word, story.asked[-1])
    asked = load(story.asked[-1], CheckRequest)
    spoilt = receipt_of(story, word, seal_statement(asked, SigningKey.generate()))
    (tmp_path / "a.json").write_bytes(spoilt.to_json())
    told = found(story, only_questions(tmp_path, story))
    assert told == [(len(story.log) - 1, Reason.BAD_SIGNATURE)]
    (tmp_path / "b.json").write_bytes(right.to_json())
    assert found(story, only_questions(tmp_path, story)) == []


def only_questions(folder: Path, story: Story) -> Receipts:
    """Read receipts; of a story's words, which stand elsewhere in its log, without their places."""
    given = read_receipts(folder, story.world.trust())
    assert not given.faults
    return Receipts(questions=given.questions)


def test_an_answer_that_the_audited_log_does_not_hold_is_found_by_its_receipt(
    tmp_path: Path,
) -> None:
    """The room signed a head with the answer in it, and shows the auditor a log without it."""
    story = Story().begin()
    story.release()
    hidden = story.release()
    receipt = receipt_of(story, hidden, story.asked[-1])
    (tmp_path / "use-1.json").write_bytes(receipt.to_json())
    (tmp_path / "use-2.json").write_bytes(receipt.to_json().replace(b"tlog", b"blog"))
    story.log.remove(hidden)
    given = read_receipts(tmp_path, story.world.trust())
    assert (given.count, len(given.questions)) == (2, 1)
    told = [
        (each.reason, each.what.split(":")[0]) for each in story.audit(receipts=given).violations
    ]
    assert (Reason.BAD_PROOF, "use-1.json") in told
    assert (Reason.MALFORMED, "use-2.json") in told


def test_answers_under_a_charter_of_another_root_are_found() -> None:
    """Whoever holds the room makes an owner of its own: a charter, a key agent, an enclave."""
    story = Story().begin()
    charter = load(story.tax.charters[0], Charter)
    root, agent = SigningKey.generate(), SigningKey.generate()
    swapped = charter.model_copy(
        update={"root": root.verify_key.public, "key_agent": agent.verify_key.public}
    )
    story.log.append(seal_statement(swapped, root))
    enclave = MadeEnclave(story.tax, "another's")
    enclave.endorsement = enclave.endorse(agent, charter=story.log[-1].digest)
    story.log.append(enclave.endorsement)
    story.enclave = enclave
    story.release(Truth.YES, charter=story.log[-2].digest)
    assert [reason for _, reason in found(story)] == [
        *(Reason.BAD_CHARTER, Reason.BAD_CHARTER, Reason.BAD_ENDORSEMENT)
    ]


def test_nothing_of_a_question_is_needed_for_the_log_alone() -> None:
    story = Story().begin()
    for _ in range(3):
        story.release()
    auditor = story.audit()
    assert auditor.violations == []
    assert (auditor.replayed, auditor.opened) == (3, 0)
