"""Reasons beside a band: which features raise the odds the most, as a disclosure of its own."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import numpy as np
import pytest

from saferoom_enclaves.scores.index import BandIndex
from saferoom_models.vertical.points import log_odds, reasons
from saferoom_proto.answer import Band, Told, Truth
from saferoom_proto.batch import Row
from saferoom_proto.reasons import Reason, SafeRoomError
from simulator import FIRMS, Firm, sample
from simulator.batch import ask_batch, batch_of
from simulator.sample import VAT_GRID
from simulator.score import Weights, approved_score, plant, score
from tests.enclaves.test_scores import SILENT, Scoring, opened_scoring

READ: Final = ("tax.vat_paid", "tax.arrears")
# The amount, whether it is unknown, and arrears: of 20,000 each unit of the log-odds.
TOLD: Final = Weights((-0.5, 1.0, 1.5), (50_000.0, 0.25, 0.25), (20_000.0, 0.5, 0.5))
ONE_EDGE: Final = {
    "edges": (Decimal(0),),
    "stands_for": (Decimal(-1), Decimal(1)),
    "features": READ,
}


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    """Give a room with a score of two bands that tells at most one reason."""
    made = opened_scoring(sample("reasons"), tmp_path_factory.mktemp("reasons"))
    model = plant(made.enclave, made.said, told=TOLD, name="of two", features=READ)
    asked = approved_score(made.said, score(model, reasons=1, **ONE_EDGE))
    made.enclave.follow()
    yield Scoring(made.said, made.enclave, model, asked)
    made.enclave.close()


def by_hand(firm: Firm) -> Band:
    """Reckon a firm's band and reason with plain numbers."""
    vat = float(firm.vat) if firm.vat else 50_000.0
    amount = (vat - 50_000) / 20_000 * -0.5 + (0.75 if not firm.vat else -0.25) / 0.5 * 1.0
    arrears = (float(firm.arrears) - 0.25) / 0.5 * 1.5
    most = max(amount, arrears)
    lost = 0 if most <= 0 else 1 if amount >= arrears else 2
    return Band(2 if amount + arrears >= 0 else 1, lost)


def test_a_reason_is_the_feature_that_raises_the_odds_the_most(scoring: Scoring) -> None:
    told = {serial: scoring.ask(serial) for serial in FIRMS}
    assert told == {serial: by_hand(firm) for serial, firm in FIRMS.items()}
    assert {each.lost for each in told.values() if isinstance(each, Band)} == {0, 1, 2}
    assert scoring.ask(SILENT) is Truth.NOT_FOUND


def test_a_batch_tells_the_same_at_the_same_price(scoring: Scoring) -> None:
    room = scoring.said
    rows = [Row(room.world.subject(serial).uscc) for serial in (*FIRMS, SILENT, 77)]
    word = ask_batch(scoring.enclave, batch_of(room.bank, scoring.asked, rows))
    told: list[Told | Reason] = [record.outcome for record in word.records]
    assert told == [*map(by_hand, FIRMS.values()), Truth.NOT_FOUND, Reason.NO_CONSENT]
    # Two bands with none or one of two features, and "not found".
    assert {record.charges for record in word.records[:4]} <= {((1, 7),) * 2, ((7, 7),) * 2}


def test_reasons_are_charged_to_every_feature_and_beside_anything_else_multiply(
    scoring: Scoring,
) -> None:
    charges = scoring.enclave.ask(scoring.question(11)).release.charges
    assert {(each.feature, each.cells_after) for each in charges} == {(name, 7) for name in READ}
    assert scoring.enclave.ask(scoring.said.question(11, VAT_GRID[3])).reason is Reason.OVER_BUDGET
    # Without its reasons the same score is another question, and not for nothing.
    plain = approved_score(scoring.said, score(scoring.model, **ONE_EDGE))
    scoring.enclave.follow()
    assert scoring.ask(11, plain) is Reason.OVER_BUDGET
    assert isinstance(scoring.ask(12, plain), Band)
    assert scoring.ask(12) is Reason.OVER_BUDGET


def test_two_reasons_of_two_features_are_over_the_budget_of_eight(scoring: Scoring) -> None:
    both = approved_score(scoring.said, score(scoring.model, reasons=2, **ONE_EDGE))
    scoring.enclave.follow()
    assert scoring.ask(13, both) is Reason.OVER_BUDGET


def test_a_child_that_lies_about_reasons_is_not_believed(scoring: Scoring) -> None:
    standing = scoring.enclave.enclave._require_open().standing
    part = standing.certificates[scoring.asked.certificate.digest].part("tax").score
    assert part is not None
    code = scoring.said.world.subject(1).uscc.encode()
    bands, none = b"\x00\x01", bytes(8)
    for content in (
        code + bands,  # no reasons
        code + bands + none,  # of one of two only
        code + bands + none + none + b"\0",
        code + bands + bytes(7) + b"\3" + none,  # two where one may be
        code + bands + bytes(7) + b"\4" + none,  # of a third feature
        code + b"\xff\x01" + bytes(7) + b"\1" + none,  # beside nothing
    ):
        with pytest.raises(SafeRoomError) as refused:
            BandIndex(memoryview(content), 1, part)
        assert refused.value.reason is Reason.MALFORMED
    assert part.features == len(READ)
    sound = BandIndex(memoryview(code + bands + bytes(7) + b"\2" + none), 1, part)
    assert sound.band(code.decode()) == Band(1, 2)


def test_reasons_of_rows_are_those_of_each_row_alone() -> None:
    draw = np.random.default_rng(5)
    whole = draw.integers(-3000, 3000, (200, 6))
    whole[:3] = 0  # as the average: nothing raises anything
    weights = np.array([0.5, -1.0, 0.25, 0.25, 2.0, -0.125])
    of = np.array([0, 0, 1, 2, 2, 3])
    together = reasons(whole, weights, of, 2).tolist()
    alone = [int(reasons(whole[at : at + 1], weights, of, 2)[0]) for at in range(200)]
    assert together == alone
    for row, told in zip(whole, together, strict=True):
        raised = [float(log_odds(row[None, of == at], weights[of == at])[0]) for at in range(4)]
        most = sorted(range(4), key=lambda at: (-raised[at], at))[:2]
        assert told == sum(1 << at for at in most if raised[at] > 0)
    alike = reasons(np.array([[1024, 1024, 1024]]), np.ones(3), np.arange(3), 1)
    assert alike.tolist() == [1]  # the earlier one
