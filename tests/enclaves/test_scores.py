"""Scores at a real enclave: bands of a model's points, charged like every answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from saferoom_enclaves.approved import ApprovedUse, ApprovedUses
from saferoom_enclaves.jobs.kept import MODELS
from saferoom_enclaves.scores.index import BandIndex
from saferoom_enclaves.storework import StoreWork
from saferoom_models.vertical.columns import prepare
from saferoom_models.vertical.points import bands, kept, log_odds
from saferoom_proto.answer import Band, Told, Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Absent, Askers, CostEstimate, Feature, Purpose, load
from simulator import FIRMS, EnclaveHarness, Firm, Sample, sample, tax_csv
from simulator.owner import APPROVERS
from simulator.sample import FEATURES, VAT_GRID, Approved, ordered
from simulator.score import TRAINED, Weights, approved_score, plant, score

SCORED: Final = {**FIRMS, **{serial: FIRMS[1 + serial % 4] for serial in range(11, 40)}}
SILENT: Final = 9
"""A firm that the tax office has never heard of."""
ALSO_SILENT: Final = 8
NOT_CONSENTING: Final = 5


def redefine(room: Sample, name: str = "vat_paid", **changes: object) -> None:
    """Publish another version of a feature that the model reads."""
    current = room.world.features[FeatureRef("tax", name)].definition
    fields = current.model_dump() | {"version": current.version + 1} | changes
    room.tax.define(Feature.model_validate(fields))


def again(room: Sample, asked: Approved) -> Approved:
    """Have a template approved under the features as they are now."""
    certificate = room.world.publish(room.bank.certificate(asked.template))
    room.tax.approve(asked.template, certificate.digest)
    return Approved(asked.template, certificate)


@dataclass(frozen=True, slots=True)
class Scoring:
    """The small room, a model of bank-a's, and an approved score of five bands."""

    said: Sample
    enclave: EnclaveHarness
    model: str
    asked: Approved

    def ask(
        self, serial: int = 1, asked: Approved | None = None, **changes: object
    ) -> Told | Reason:
        """Ask for a firm's score; give it, or why there is none."""
        verdict = self.enclave.ask(self.question(serial, asked, **changes))
        return verdict.told or verdict.reason or Reason.INTERNAL

    def question(
        self, serial: int = 1, asked: Approved | None = None, **changes: object
    ) -> Envelope:
        """Sign a question for a firm's score."""
        of = asked or self.asked
        subject = self.said.world.subject(serial)
        return self.said.bank.request(subject, of.template, of.certificate, **changes)  # pyright: ignore[reportArgumentType] - fields by name

    def more(self, **changes: object) -> Approved:
        """Have another score of the model approved."""
        made = approved_score(self.said, score(self.model, **changes))
        self.enclave.follow()
        return made


def opened_scoring(said: Sample, folder: Path) -> Scoring:
    """Open the small room's enclave with a model in it."""
    enclave = EnclaveHarness(said.tax, folder)
    enclave.load({"firms": tax_csv(said.world, SCORED)})
    model = plant(enclave, said)
    for serial in (*SCORED, SILENT, ALSO_SILENT):
        said.consent(serial)
    asked = approved_score(said, score(model))
    enclave.follow()
    return Scoring(said, enclave, model, asked)


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    """Give it to tests that each ask about firms of their own, and change no feature."""
    made = opened_scoring(sample("scores"), tmp_path_factory.mktemp("scores"))
    yield made
    made.enclave.close()


@pytest.fixture
def fresh(room: Sample, tmp_path: Path) -> Iterator[Scoring]:
    """Give it for one test alone."""
    made = opened_scoring(room, tmp_path)
    yield made
    made.enclave.close()


def by_hand(firm: Firm) -> int:
    """Reckon a firm's band with plain numbers."""
    raw = [
        float(firm.vat) if firm.vat else TRAINED.means[0],
        0.0 if firm.vat else 1.0,
        float(firm.arrears),
        *(float(firm.rating == each) for each in "ABCD"),
    ]
    points = 0.0
    for value, weight, mean, scale in zip(
        raw, TRAINED.weights, TRAINED.means, TRAINED.scales, strict=True
    ):
        if scale is not None:
            points += round(max(-8.0, min(8.0, (value - mean) / scale)) * 1024) / 1024 * weight
    return sum(points >= edge for edge in (-1, 0, 0.5, 1.5)) + 1


def test_a_score_is_the_band_of_the_models_points_over_the_record(scoring: Scoring) -> None:
    told = {serial: scoring.ask(serial) for serial in FIRMS}
    assert told == {serial: Band(by_hand(firm)) for serial, firm in FIRMS.items()}
    assert len(set(told.values())) > 1
    assert scoring.ask(SILENT) is Truth.NOT_FOUND


def test_it_is_charged_to_every_feature_that_the_model_reads(scoring: Scoring) -> None:
    release = scoring.enclave.ask(scoring.question(11)).release
    assert {(each.feature, each.cells_before, each.cells_after) for each in release.charges} == {
        ("tax.vat_paid", 1, 6),
        ("tax.arrears", 1, 6),
        ("tax.rating", 1, 6),
    }
    # The same again is free; a restart forgets nothing of it.
    scoring.enclave.kill()
    repeat = scoring.enclave.ask(scoring.question(11)).release
    assert {(each.cells_before, each.cells_after) for each in repeat.charges} == {(6, 6)}


def test_the_same_bytes_get_the_same_answer_and_are_charged_once(scoring: Scoring) -> None:
    question = scoring.question(12)
    first = scoring.enclave.judge(question)
    assert scoring.enclave.judge(question) == first


def test_no_score_without_the_subjects_consent(scoring: Scoring) -> None:
    assert scoring.ask(NOT_CONSENTING) is Reason.NO_CONSENT
    scoring.said.world.subject(NOT_CONSENTING).give(scoring.said.bank, FEATURES[:1])
    scoring.enclave.follow()
    assert scoring.ask(NOT_CONSENTING) is Reason.NO_CONSENT  # to one of its features is not to all


def test_a_withdrawn_approval_and_a_pause_stop_it_at_once(fresh: Scoring) -> None:
    fresh.said.tax.pause(fresh.asked.template)
    fresh.enclave.follow()
    assert fresh.ask() is Reason.PAUSED
    fresh.said.world.clock.advance(1)
    fresh.said.tax.withdraw(fresh.asked.template)
    for approver in APPROVERS[:2]:
        fresh.said.tax.pause(fresh.asked.template, paused=False, approver=approver)
    fresh.enclave.follow()
    assert fresh.ask() is Reason.NOT_APPROVED


def test_a_model_of_no_job_is_unknown(scoring: Scoring) -> None:
    made_up = approved_score(scoring.said, score("sha256:" + "5" * 64))
    scoring.enclave.follow()
    assert scoring.ask(13, made_up) is Reason.UNKNOWN_STATEMENT


def test_a_model_of_another_training_than_its_template_names_is_unknown(scoring: Scoring) -> None:
    other = scoring.more(training="sha256:" + "5" * 64)
    assert scoring.ask(13, other) is Reason.UNKNOWN_STATEMENT


def test_a_score_that_nobody_approved_makes_no_work_at_the_enclave(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may propose: whoever proposes much would hold up everybody's questions."""
    derived: list[str] = []
    use = ApprovedUses.use

    def counted(uses: ApprovedUses, template: str, certificate: str) -> ApprovedUse:
        derived.append(template)
        return use(uses, template, certificate)

    monkeypatch.setattr(ApprovedUses, "use", counted)
    edges, stands_for = (Decimal("0.75"),), (Decimal(-1), Decimal(1))
    changes = {"edges": edges, "stands_for": stands_for}
    proposed, _ = scoring.said.bank.scores(
        "proposed", score(scoring.model, **changes), (Purpose.PRE_LOAN,)
    )
    scoring.enclave.follow()
    assert scoring.asked.template.digest in derived
    assert proposed.digest not in derived


def test_bands_that_could_not_be_made_for_a_moment_are_made_by_and_by(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> BandIndex:
        raise SafeRoomError(Reason.UNAVAILABLE, "no fork server")

    with monkeypatch.context() as broken:
        broken.setattr(StoreWork, "bands", unavailable)
        asked = scoring.more(edges=(Decimal("0.125"),), stands_for=(Decimal(-1), Decimal(1)))
        with pytest.raises(SafeRoomError) as refused:
            scoring.ask(22, asked)
        assert refused.value.reason is Reason.NO_DATA
    scoring.enclave.follow()
    assert isinstance(scoring.ask(22, asked), Band)


def test_a_model_scores_for_whom_it_was_trained_unless_its_template_says_otherwise(
    scoring: Scoring,
) -> None:
    of_others = plant(scoring.enclave, scoring.said, group="bank-b", name="another job")
    own = approved_score(scoring.said, score(of_others))
    opened = score(of_others, askers=Askers.ALL)
    by_another = approved_score(scoring.said, opened)
    for_all = approved_score(scoring.said, opened, scoring.said.other_bank)
    scoring.enclave.follow()
    assert scoring.ask(14, own) is Reason.NOT_ALLOWED
    assert scoring.ask(14, by_another) is Reason.NOT_ALLOWED  # its trainer gave no word
    assert isinstance(scoring.ask(14, for_all), Band)


def test_a_model_of_features_that_are_computed_otherwise_by_now_is_outdated(
    fresh: Scoring,
) -> None:
    redefine(fresh.said, sql="SELECT uscc AS subject, vat / 2 AS value FROM firms")
    asked = again(fresh.said, fresh.asked)
    fresh.enclave.follow()
    assert fresh.ask(asked=fresh.asked) is Reason.CERTIFICATE_MISMATCH
    assert fresh.ask(asked=asked) is Reason.MODEL_OUTDATED


def test_the_same_figure_of_another_month_is_scored_by_the_same_model(fresh: Scoring) -> None:
    at = fresh.said.world.features[FeatureRef("tax", "vat_paid")].definition.as_of
    redefine(fresh.said, as_of=at.replace(year=at.year + 1), title={"en": "VAT", "zh": "增值税"})
    asked = again(fresh.said, fresh.asked)
    fresh.enclave.follow()
    assert fresh.ask(asked=asked) == Band(by_hand(FIRMS[1]))


def test_bands_follow_a_load_and_a_period_begins_anew(fresh: Scoring) -> None:
    before = fresh.ask(1)
    firms = {**FIRMS, 1: Firm("1", arrears=True, rating="D")}
    fresh.enclave.load({"firms": tax_csv(fresh.said.world, firms)})
    fresh.enclave.follow()
    after = fresh.ask(1)
    assert after == Band(by_hand(firms[1]))
    assert after != before


def test_no_feature_is_both_scored_and_cut_beyond_its_budget(scoring: Scoring) -> None:
    # Three bits buy eight cells: six answers, or cuts; never some of both.
    assert isinstance(scoring.ask(15), Band)
    cut = scoring.enclave.ask(scoring.said.question(15, VAT_GRID[3]))
    assert cut.reason is Reason.OVER_BUDGET
    assert scoring.enclave.ask(scoring.said.question(16, VAT_GRID[3])).truth is not None
    assert scoring.ask(16) is Reason.OVER_BUDGET
    # Another model's bands, or other bands of the same, are another question.
    wider = scoring.more(edges=(Decimal("0.25"),), stands_for=(Decimal(-1), Decimal(1)))
    assert scoring.ask(15, wider) is Reason.OVER_BUDGET
    assert isinstance(scoring.ask(17, wider), Band)
    assert scoring.ask(17) is Reason.OVER_BUDGET


def test_what_a_band_stands_for_changes_no_question(scoring: Scoring) -> None:
    assert isinstance(scoring.ask(18), Band)
    relabelled = scoring.more(stands_for=tuple(map(Decimal, ("-2", "-0.5", "0.25", "1", "2"))))
    release = scoring.enclave.ask(scoring.question(18, relabelled)).release
    assert {(each.cells_before, each.cells_after) for each in release.charges} == {(6, 6)}


def test_its_price_is_told_before_and_depends_on_questions_alone(scoring: Scoring) -> None:
    costs: set[str] = set()
    for serial in (19, 20, ALSO_SILENT):
        judged = scoring.enclave.judge(scoring.said.bank.cost_request(scoring.question(serial)))
        estimate = load(judged.entry.statement, CostEstimate)
        assert estimate.refused is None
        costs.add(json.dumps([each.model_dump(mode="json") for each in estimate.features]))
    assert len(costs) == 1
    assert '"cells_after": 6' in costs.pop()


def test_a_family_is_charged_a_score_once_however_many_features_it_reads(fresh: Scoring) -> None:
    for name in ("arrears", "rating"):
        redefine(fresh.said, name, family="vat_paid")
    asked = again(fresh.said, fresh.asked)
    fresh.enclave.follow()
    judged = fresh.enclave.judge(fresh.said.bank.cost_request(fresh.question(1, asked)))
    (family,) = load(judged.entry.statement, CostEstimate).families
    assert family.bits_after == Decimal("2.585")  # log2 of six answers


def test_a_score_is_not_told_again_for_nothing_when_a_free_feature_is_defined_anew(
    scoring: Scoring,
) -> None:
    # Each date of a feature that nobody pays for would be another cut through the one that is paid.
    said, names = scoring.said, ("tax.vat_paid", "tax.age")
    sql = "SELECT uscc AS subject, year($as_of) AS value FROM firms"
    said.tax.define(ordered("tax", "age", sql, ["2000"], level=1, absent=Absent.FALSE))
    weights = Weights((1.0, 0.0, 0.25), (100_000.0, 0.0, 2026.0), (30_000.0, 1.0, 1.0))
    model = plant(scoring.enclave, said, told=weights, name="of age", features=names)
    edge, stands_for = (Decimal("0.50"),), (Decimal(-1), Decimal(1))
    fields = {"features": names, "stands_for": stands_for}
    said.world.subject(21).give(said.bank, names)
    asked = approved_score(said, score(model, edges=edge, **fields))
    scoring.enclave.follow()
    assert isinstance(scoring.ask(21, asked), Band)
    at = said.world.features[FeatureRef("tax", "age")].definition.as_of
    redefine(said, "age", as_of=at.replace(year=2020))
    later = again(said, asked)
    scoring.enclave.follow()
    assert scoring.ask(21, later) is Reason.OVER_BUDGET
    redefine(said, "age", as_of=at, title={"en": "the same", "zh": "同前"})
    # The same value is the same score, however its edges are written.
    same = approved_score(said, score(model, edges=(Decimal("0.5"),), **fields))
    scoring.enclave.follow()
    charges = scoring.enclave.ask(scoring.question(21, same)).release.charges
    assert [(each.cells_before, each.cells_after) for each in charges] == [(3, 3)]


def test_a_score_takes_no_parameters(scoring: Scoring) -> None:
    assert scoring.ask(params={"min_vat": "50000"}) is Reason.OFF_DOMAIN


def test_weights_are_in_no_reach_of_whoever_asks(scoring: Scoring) -> None:
    # A question names a template; what is scored is the approved model's, sealed in the state.
    state = scoring.enclave.enclave._require_open().state
    rows = list(state.found(MODELS))
    assert rows
    path = scoring.enclave.folder / "state.db"
    held = b"".join(each.read_bytes() for each in path.parent.glob("state.db*"))
    assert b'"weights"' not in held


def test_bands_agree_with_training_to_the_last_bit() -> None:
    draw = np.random.default_rng(3)
    values = np.column_stack(
        [draw.normal(50_000, 20_000, 400), draw.integers(0, 2, 400).astype(float)]
    )
    prepared = prepare(("vat", "arrears"), values)
    assert np.array_equal(kept(values, prepared.means, prepared.scales), prepared.whole)
    weights = draw.normal(size=2)
    together = log_odds(prepared.whole, weights)
    one_by_one = [log_odds(prepared.whole[at : at + 1], weights)[0] for at in range(400)]
    assert together.tolist() == one_by_one
    edges = sorted(together[:3].tolist())
    # A band holds its lower edge.
    assert bands(np.array(edges), edges).tolist() == [1, 2, 3]


def test_a_child_that_lies_about_bands_is_not_believed(scoring: Scoring) -> None:
    part = (
        scoring.enclave.enclave._require_open()
        .standing.certificates[scoring.asked.certificate.digest]
        .part("tax")
        .score
    )
    assert part is not None
    code = scoring.said.world.subject(1).uscc.encode()
    for content, subjects in (
        (code + b"\x05\x00", 1),  # a sixth band of five
        (code + b"\x00", 1),  # nothing of everybody else
        (code + code + b"\x00\x00\x00", 2),  # a subject twice
    ):
        with pytest.raises(SafeRoomError) as refused:
            BandIndex(memoryview(content), subjects, part)
        assert refused.value.reason is Reason.MALFORMED
