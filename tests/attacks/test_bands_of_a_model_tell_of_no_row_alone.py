"""What a bank could try with bands of a model's card: differences, averages, another name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from saferoom_enclaves.children.fit_jobs import NoisyBandMade
from saferoom_enclaves.fits import desk, gate
from saferoom_enclaves.marks import Marks
from saferoom_enclaves.risk_bands import noisy_bands
from saferoom_enclaves.statistics import laplace
from saferoom_models.pooled.bands import Counted, count_bands
from saferoom_models.pooled.rows import Parts
from saferoom_proto.fit_bands import BandNoise
from saferoom_proto.fits import ModelCard
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import FitRelease, PrivacySpent
from simulator.bank import SimBank
from simulator.fitted import PURPOSES, FitRoom, asked, boosted, firms
from simulator.sample import Approved

TOLD: dict[str, object] = {"releases": ["bands"], "bands": {"epsilon": "1", "cap": "3"}}
ONCE: dict[str, object] = {"releases": ["bands"], "bands": {"epsilon": "1", "cap": "1"}}
DRAWS = 200
WITHIN = 0.15
"""Of 200 draws a share is within so much of what it tends to, but once in 50,000."""
BEST = math.e / (1 + math.e)
"""How often a guess is right at best by an epsilon of 1."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FitRoom]:
    """Give a room whose records nobody changes; each test has banks of its own."""
    made = FitRoom.make(tmp_path_factory.mktemp("bands"))
    yield made
    made.enclave.close()


def bank_of(room: FitRoom, name: str, group: str | None = None) -> SimBank:
    """Let another bank in; of a group of its own, if none is named."""
    bank = room.world.bank(name)
    room.tax.agree(bank, PURPOSES, group or name)
    room.enclave.follow()
    return bank


def told(
    room: FitRoom, of: Approved, bank: SimBank | None = None, **changes: object
) -> tuple[FitRelease, ModelCard]:
    """Ask, and open the card."""
    request = room.request(of, bank, **changes)
    judged = room.enclave.fit(request)
    return room.said(judged), room.card(request, judged, bank)


def rows(many: int = 1600) -> tuple[NDArray[np.float64], NDArray[np.int64], Parts]:
    """Give scores and labels, and which rows are held out."""
    draw = np.random.default_rng(5)
    scores = draw.normal(-1, 1, many)
    labels = (draw.random(many) < 1 / (1 + np.exp(-scores))).astype(np.int64)
    held = np.arange(0, many, 4)
    return scores, labels, Parts(np.setdiff1d(np.arange(many), held), held)


def exact(scores: NDArray[np.float64], labels: NDArray[np.int64], parts: Parts) -> Counted:
    return count_bands(scores, labels, parts, most=10, steps=1000)


Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


def share_right(worlds: tuple[Rows, Rows], parts: Parts, epsilon: int) -> float:
    """Give how often who knows two worlds tells in which of them bands were made."""
    counted = [exact(*each, parts) for each in worlds]
    right = 0.0
    for at in range(DRAWS):
        truth = at % 2
        seen = noisy_bands(*worlds[truth], parts, Decimal(epsilon))
        own, other = (_likelihood(seen, counted[each], epsilon) for each in (truth, 1 - truth))
        right += 0.5 if own == other else float(own > other)
    return right / DRAWS


def _likelihood(seen: tuple[NoisyBandMade, ...], world: Counted, epsilon: int) -> float:
    """Give the logarithm of how likely told numbers are, but for what all worlds share."""
    noise = BandNoise.of(Decimal(epsilon))
    numbers = zip(
        seen, world.events.tolist(), world.others.tolist(), world.foretold.tolist(), strict=True
    )
    return -sum(
        (abs(told.events - a) + abs(told.others - b)) / float(noise.counts.scale)
        + abs(told.foretold - risk) / float(noise.foretold.scale)
        for told, a, b, risk in numbers
    )


def test_who_knows_all_rows_but_one_label_is_right_about_it_as_often_as_epsilon_lets_it() -> None:
    scores, labels, parts = rows()
    row = parts.held[7]
    turned, moved = labels.copy(), scores.copy()
    turned[row] = 1 - labels[row]
    moved[row] = 5.0 if scores[row] < -1 else -9.0
    label_alone = ((scores, labels), (scores, turned))
    all_of_it = ((scores, labels), (moved, turned))
    assert 0.5 - WITHIN < share_right(label_alone, parts, 1) < BEST + WITHIN
    assert 0.5 < share_right(all_of_it, parts, 1) < BEST + WITHIN
    # The control: with noise of no width to speak of it is right all but each time.
    assert share_right(label_alone, parts, 40) > 0.97


def test_two_models_whose_bands_differ_by_one_row_do_not_tell_its_label() -> None:
    """Other ridges over the same rows: whoever subtracts needs to know no other row."""
    scores, labels, parts = rows()
    edges = np.quantile(scores[parts.train], np.arange(1, 10) / 10)
    row = parts.held[int(np.argmin(np.abs(scores[parts.held] - edges[5])))]
    other = scores.copy()
    other[row] = edges[5] + (1e-6 if scores[row] < edges[5] else -1e-6)

    def subtracted(epsilon: int | None) -> float:
        right = 0.0
        for at in range(DRAWS):
            truth = labels.copy()
            truth[row] = at % 2
            events, others = (
                sum(abs(a - b) for a, b in zip(first, second, strict=True))
                for first, second in zip(*_told_of(epsilon, scores, other, truth), strict=True)
            )
            right += 0.5 if events == others else float((events > others) == bool(truth[row]))
        return right / DRAWS

    def _told_of(
        epsilon: int | None,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        truth: NDArray[np.int64],
    ) -> list[tuple[list[int], list[int]]]:
        if epsilon is None:
            counted = [exact(each, truth, parts) for each in (first, second)]
            return [(each.events.tolist(), each.others.tolist()) for each in counted]
        told = [noisy_bands(each, truth, parts, Decimal(epsilon)) for each in (first, second)]
        return [([one.events for one in each], [one.others for one in each]) for each in told]

    assert subtracted(None) == 1.0, "the control: exact counts tell it by themselves"
    assert subtracted(1) < BEST, "two trainings are charged 2, half of it for counts"


@pytest.mark.parametrize("place", [0, 133, 399])
def test_a_row_held_out_alters_two_counts_and_moves_no_edge(place: int) -> None:
    scores, labels, parts = rows()
    before = exact(scores, labels, parts)
    moved, turned = scores.copy(), labels.copy()
    moved[parts.held[place]] += 3.0
    turned[parts.held[place]] = 1 - labels[parts.held[place]]
    after = exact(moved, turned, parts)
    counts = np.abs(after.events - before.events).sum() + np.abs(after.others - before.others).sum()
    assert 1 <= counts <= 2
    assert np.abs(after.foretold - before.foretold).sum() <= 2000


def test_equal_scores_share_a_band_and_the_riskiest_is_first() -> None:
    scores, labels, parts = rows()
    told = exact(np.where(scores > -1, 1.0, -2.0), labels, parts)
    sizes = told.events + told.others
    assert len(sizes) <= 3
    assert sorted(sizes.tolist())[-2:] == sorted(
        [int((scores[parts.held] > -1).sum()), int((scores[parts.held] <= -1).sum())]
    )
    rates = told.events[:2] / sizes[:2]
    assert rates[0] > rates[1]


def test_banks_that_ask_the_same_get_the_same_numbers_and_average_nothing(kept: FitRoom) -> None:
    banks = [bank_of(kept, f"same-{number}") for number in range(3)]
    sharp = TOLD | {"bands": {"epsilon": "10", "cap": "20"}}
    of, named = (kept.approved(asked(**sharp), each) for each in ("told", "told-again"))
    cards = [
        told(kept, each, bank, inverse_ridge=ridge)[1].bands
        for each, bank, ridge in (
            (of, banks[0], "1"),
            (of, banks[1], "1.0"),
            (named, banks[2], "1"),
        )
    ]
    assert cards[0], "enough rows are held out for bands"
    assert len({*cards}) == 1, "a bank, its group, or another template gets another draw"
    other = told(kept, of, banks[0], inverse_ridge="0.5")[1]
    assert other.bands != cards[0], "another ridge is another question, though it tells the same"


def test_every_training_is_charged_for_a_group_over_all_templates_of_the_owner(
    kept: FitRoom,
) -> None:
    own, friend = bank_of(kept, "pays", "payers"), bank_of(kept, "pays-too", "payers")
    first = kept.approved(asked(**TOLD), "charged")
    wide = {"bands": {"epsilon": "1", "cap": "20"}}
    trees = kept.approved(boosted(**(TOLD | wide)), "trees")
    late: dict[str, object] = {"features": ("tax.paid", "tax.arrears"), "label": "tax.late"}
    label = kept.approved(asked(**(TOLD | wide | late)), "another-label")
    spent = [kept.ask(first, own).privacy, kept.ask(first, friend, inverse_ridge="2").privacy]
    spent.append(kept.said(kept.enclave.fit(kept.trees(trees, own))).privacy)
    assert [each and (each.charged, each.spent, each.cap) for each in spent] == [
        (1, 1, 3),
        (1, 2, 3),
        (1, 3, 3),
    ], "the least cap of all that was told"
    refused = kept.ask(label, friend)
    assert (refused.reason, refused.run, refused.privacy) == (Reason.OVER_BUDGET, None, None)
    assert kept.ask(first, bank_of(kept, "pays-alone")).reason is None, "a budget of its own"
    silent = kept.ask(kept.approved(asked(), "silent"), own)
    assert (silent.reason, silent.privacy) == (None, None), "who is told no bands is charged none"


def priced(room: FitRoom, of: Approved, bank: SimBank) -> tuple[Reason | None, str]:
    """Ask a price; give the enclave's word, and what it says is charged, spent and allowed."""
    request = room.request(of, bank, price=True)
    judged = room.enclave.fit(request)
    assert room.enclave.fit(request) == judged
    said = room.said(judged)
    assert (judged.sealed, said.model, said.run, said.answer) == (b"", None, None, None)
    price = said.privacy
    return said.reason, "" if price is None else f"{price.charged}/{price.spent}/{price.cap}"


def test_a_price_is_told_before_anything_is_trained_or_charged(kept: FitRoom) -> None:
    own, friend = bank_of(kept, "asks", "askers"), bank_of(kept, "asks-too", "askers")
    of = kept.approved(asked(**ONCE), "priced")
    silent = kept.approved(asked(), "unpriced")
    for bank in (own, friend):
        assert priced(kept, of, bank) == (Reason.PRICE_ONLY, "1/1/1")
    assert priced(kept, silent, own) == (Reason.PRICE_ONLY, "")
    after = kept.ask(of, own)
    assert (after.run, after.privacy and after.privacy.spent) == (1, 1), "a price costs nothing"
    assert priced(kept, of, friend) == (Reason.OVER_BUDGET, "1/2/1")
    assert kept.ask(of, friend).reason is Reason.OVER_BUDGET
    wrong = kept.request(of, own, price=True, inverse_ridge="11")
    assert kept.said(kept.enclave.fit(wrong)).privacy is None


def test_a_price_and_its_refusal_depend_on_no_record(kept: FitRoom) -> None:
    """Whether there are enough rows or events is the model's to tell, as a run that counts."""
    told = list[list[object]]()
    for held in (firms(), firms(400)):
        kept.load(held)
        own = bank_of(kept, f"of-{len(held.paid)}")
        of = kept.approved(asked(**ONCE), f"of-{len(held.paid)}", own)
        told.append([priced(kept, of, own), kept.ask(of, own).privacy, priced(kept, of, own)])
    kept.load(firms())
    assert told[0][-1] == (Reason.OVER_BUDGET, "1/2/1")
    assert told[0] == told[1]


def test_what_is_withheld_or_let_run_out_is_charged_like_what_is_told(
    kept: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, of = bank_of(kept, "withheld"), kept.approved(asked(**TOLD), "withheld")
    with monkeypatch.context() as withheld:
        withheld.setattr(gate, "MOST_MEMBERSHIP", -1.0)
        said = kept.ask(of, own)
    assert (said.reason, said.privacy and said.privacy.spent) == (Reason.WITHHELD, 1)
    short = kept.request(of, own, not_after=kept.world.now() + timedelta(seconds=1))
    begun = kept.enclave.enclave.jobs.fits.begin(short)
    assert isinstance(begun, desk.BegunFit)
    kept.world.clock.advance(2)
    late = kept.said(kept.enclave.enclave.jobs.fits.finish(begun, None))
    begun.close()
    assert (late.reason, late.privacy) == (Reason.EXPIRED, None)
    after = kept.ask(of, own)
    assert (after.reason, after.privacy and after.privacy.spent) == (None, 3)


def test_a_repeat_over_a_kill_and_the_same_records_anew_are_no_way_around(kept: FitRoom) -> None:
    own, of = bank_of(kept, "again"), kept.approved(asked(**TOLD), "again")
    request = kept.request(of, own)
    first = kept.enclave.fit(request)
    kept.enclave.kill()
    assert kept.enclave.fit(request) == first
    again = kept.request(of, own)
    judged = kept.enclave.fit(again)
    spent = PrivacySpent(charged=Decimal(1), spent=Decimal(2), cap=Decimal(3))
    assert kept.said(judged).privacy == spent
    assert kept.card(again, judged, own).bands == kept.card(request, first, own).bands
    kept.load(firms())
    after = kept.ask(of, own).privacy
    assert after is not None
    assert after.spent == 3, "a load of the same records is no new budget"
    assert kept.ask(of, own).reason is Reason.OVER_BUDGET
    kept.world.clock.advance(31 * 24 * 3600)
    kept.enclave.unlock()
    kept.enclave.follow()
    later = kept.ask(of, own).privacy
    assert later is not None
    assert later.spent == 1, "after a month, all that was spent is over"


def test_what_a_lost_folder_forgot_counts_as_told_for_a_month(
    kept: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily: dict[str, object] = {"runs": {"most": 6, "days": 1}}
    own = bank_of(kept, "forgot")
    of, silent = kept.approved(asked(**(TOLD | daily)), "f-1"), kept.approved(asked(**daily), "f-2")
    ago = kept.world.now() - timedelta(days=10)
    monkeypatch.setattr(Marks, "forgotten_until", ago)
    assert kept.ask(of, own).reason is Reason.OVER_BUDGET
    assert kept.ask(silent, own).reason is None, "its runs of that day are over"


def test_an_enclave_without_opendp_says_what_to_install_and_charges_nothing(
    kept: FitRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, of = bank_of(kept, "bare"), kept.approved(asked(**TOLD), "bare")

    def missing() -> None:
        raise SafeRoomError(Reason.NOT_INSTALLED, laplace.INSTALL)

    with monkeypatch.context() as bare:
        bare.setattr(desk, "require_noise", missing)
        with pytest.raises(SafeRoomError) as caught:
            kept.enclave.fit(kept.request(of, own))
    assert caught.value.reason is Reason.NOT_INSTALLED
    said = kept.ask(of, own)
    assert (said.run, said.privacy and said.privacy.spent) == (1, 1)


def test_no_exact_number_leaves_the_child(kept: FitRoom) -> None:
    of = kept.approved(asked(**TOLD), "exact")
    begun = kept.enclave.enclave.jobs.fits.begin(kept.request(of, bank_of(kept, "exact")))
    assert isinstance(begun, desk.BegunFit)
    with closing(begun):
        made = [begun.over.fit(begun.charged, begun.seed) for _ in range(2)]
    bands = [each and each.made.bands for each in made]
    assert None not in bands
    assert bands[0] != bands[1], "each draw is anew: it is not what was counted"
