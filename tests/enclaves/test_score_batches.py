"""Scores in batches: each row as if it were asked alone, under one word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saferoom_client.batch_opening import require_sound
from saferoom_enclaves.children.jobs import NO_BAND
from saferoom_enclaves.scores.index import BandIndex
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.answer import Band, Truth
from saferoom_proto.batch import BANDED, CHUNK_ROWS, CODES, CONSENT_BYTES, JudgedRows, Row, When
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc
from simulator import Firm, Sample, sample, tax_csv
from simulator.batch import FILLER, BatchWord, SimBatch, ask_batch, batch_of, judge_batch
from simulator.sample import FEATURES, FIRMS, VAT_GRID
from tests.enclaves.test_rows_shown import held, opened
from tests.enclaves.test_scores import (
    ALSO_SILENT,
    SCORED,
    SILENT,
    Scoring,
    by_hand,
    opened_scoring,
    redefine,
)

OTHER: dict[int, Firm] = {**FIRMS, 1: Firm("1", arrears=True, rating="D")}


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    """Give a room with a model to tests that each ask about firms of their own."""
    made = opened_scoring(sample("score batches"), tmp_path_factory.mktemp("score-batches"))
    yield made
    made.enclave.close()


@pytest.fixture
def fresh(room: Sample, tmp_path: Path) -> Iterator[Scoring]:
    """Give it for one test alone."""
    made = opened_scoring(room, tmp_path)
    yield made
    made.enclave.close()


def of_firms(scoring: Scoring, *serials: int, before: int = 0) -> SimBatch:
    """Ask for the scores of some firms, after so many that nobody has heard of."""
    rows = [Row(make_uscc(FILLER + at)) for at in range(before)]
    rows += [Row(scoring.said.world.subject(serial).uscc) for serial in serials]
    return batch_of(scoring.said.bank, scoring.asked, rows)


def asked(scoring: Scoring, batch: SimBatch) -> BatchWord:
    return ask_batch(scoring.enclave, batch)


def test_each_row_is_told_the_band_that_it_would_be_told_alone(scoring: Scoring) -> None:
    firms = (11, 12, 13, 14)
    word = asked(scoring, of_firms(scoring, *firms, SILENT, 13, 77))
    told = [record.outcome for record in word.records]
    assert told == [
        *(Band(by_hand(SCORED[serial])) for serial in firms),
        Truth.NOT_FOUND,
        Reason.ROW_REPEATED,
        Reason.NO_CONSENT,
    ]
    assert (word.release.answered, word.release.refused) == (5, 2)
    # One price for each feature that the model reads, by name; of "not found" the same.
    assert {record.charges for record in word.records[:-2]} == {((1, 6), (1, 6), (1, 6))}
    assert scoring.ask(11) == told[0]


def test_rows_and_single_scores_are_one_account(scoring: Scoring) -> None:
    scoring.ask(15)
    word = asked(scoring, of_firms(scoring, 15, 16))
    assert word.records[0].charges == ((6, 6), (6, 6), (6, 6))
    assert scoring.enclave.ask(scoring.said.question(16, VAT_GRID[3])).reason is Reason.OVER_BUDGET
    assert isinstance(scoring.ask(16), Band)
    scoring.enclave.ask(scoring.said.question(17, VAT_GRID[3]))
    assert asked(scoring, of_firms(scoring, 17)).records[0].outcome is Reason.OVER_BUDGET


def test_the_same_batch_again_brings_the_same_bytes_after_a_kill_too(scoring: Scoring) -> None:
    batch = of_firms(scoring, 18, 19, ALSO_SILENT, before=CHUNK_ROWS)
    judge_batch(scoring.enclave, batch, chunks=1)
    scoring.enclave.kill()
    scoring.enclave.follow()
    word = asked(scoring, batch)
    assert [record.outcome for record in word.records[-3:]] == [
        Band(by_hand(SCORED[18])),
        Band(by_hand(SCORED[19])),
        Truth.NOT_FOUND,
    ]
    scoring.enclave.restart()
    scoring.enclave.follow()
    assert asked(scoring, batch) == word


def test_what_is_taken_back_while_a_batch_runs_counts_for_the_rows_left(scoring: Scoring) -> None:
    subject = scoring.said.world.subject(78)
    consent = subject.give(scoring.said.bank, FEATURES)
    scoring.enclave.follow()
    batch = of_firms(scoring, 78, 20, before=CHUNK_ROWS)
    judge_batch(scoring.enclave, batch, chunks=1)
    subject.revoke(consent)
    scoring.enclave.follow()
    told = [record.outcome for record in asked(scoring, batch).records[-2:]]
    assert told == [Reason.NO_CONSENT, Band(by_hand(SCORED[20]))]


def test_a_model_that_is_outdated_while_a_batch_runs_scores_no_row_more(fresh: Scoring) -> None:
    batch = of_firms(fresh, 1, before=CHUNK_ROWS)
    judge_batch(fresh.enclave, batch, chunks=1)
    redefine(fresh.said, sql="SELECT uscc AS subject, vat / 2 AS value FROM firms")
    fresh.enclave.follow()
    word = asked(fresh, batch)
    assert isinstance(word.records[-1].outcome, Reason)
    assert word.records[-1].charges == ()


def test_a_load_while_a_batch_runs_is_a_span_of_its_own(
    fresh: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = of_firms(fresh, 1, before=CHUNK_ROWS)
    judge_batch(fresh.enclave, batch, chunks=1)

    def unavailable(*_: object) -> BandIndex:
        raise SafeRoomError(Reason.UNAVAILABLE, "no fork server")

    with monkeypatch.context() as broken:
        broken.setattr(StoreWork, "bands", unavailable)
        fresh.enclave.load({"firms": tax_csv(fresh.said.world, OTHER)})
        fresh.enclave.follow()
        # Bands of the former store answer nothing: the batch waits, and nothing is charged.
        with pytest.raises(SafeRoomError) as refused:
            judge_batch(fresh.enclave, batch, chunks=1)
        assert refused.value.reason is Reason.NO_DATA
    fresh.enclave.follow()
    word = asked(fresh, batch)
    assert word.records[-1].outcome == Band(by_hand(OTHER[1])) != Band(by_hand(FIRMS[1]))
    assert [span.store.epoch for span in word.release.spans if span.store] == [1, 2]


@pytest.mark.parametrize("how", ["another's model", "made up", "parameters"])
def test_a_batch_as_a_whole_is_held_to_the_rules_of_a_single_score(
    scoring: Scoring, how: str
) -> None:
    bank, rows = scoring.said.bank, [Row(scoring.said.world.subject(1).uscc)]
    match how:
        case "another's model":
            # The other bank's batch by a model that bank-a trained.
            bank, asked_of, reason = scoring.said.other_bank, scoring.asked, Reason.NOT_ALLOWED
            changes: tuple[dict[str, str | bool], ...] = ({},)
        case "made up":
            asked_of, reason = scoring.more(training="sha256:" + "5" * 64), Reason.UNKNOWN_STATEMENT
            changes = ({},)
        case _:
            asked_of, reason = scoring.asked, Reason.OFF_DOMAIN
            changes = ({"min_vat": "50000"},)
    word = ask_batch(scoring.enclave, batch_of(bank, asked_of, rows, changes))
    assert (word.release.reason, word.records) == (reason, [])


def test_a_failure_that_depends_on_records_is_withheld_and_paid(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(BandIndex, "bands_of", None)
        (record,) = asked(scoring, of_firms(scoring, 21)).records
    assert record.outcome is Reason.WITHHELD
    assert record.charges == ((1, 6), (1, 6), (1, 6))


def test_many_bands_are_looked_up_as_one_is(scoring: Scoring) -> None:
    opened = scoring.enclave.enclave._require_open()
    part = opened.standing.certificates[scoring.asked.certificate.digest].part("tax").score
    assert part is not None
    known = sorted(make_uscc(serial).encode() for serial in range(1, 40, 3))
    content = b"".join(known) + bytes(at % 5 for at in range(len(known))) + bytes([NO_BAND])
    index = BandIndex(memoryview(content), len(known), part)
    wanted = [make_uscc(serial) for serial in (*range(45), FILLER)]
    many = index.bands_of("".join(wanted).encode())[0].tolist()
    alone = [index.band(each) for each in wanted]
    assert [Truth.NOT_FOUND if at == NO_BAND else Band(at + 1) for at in many] == alone
    assert not len(index.bands_of(b"")[0])
    empty = BandIndex(memoryview(bytes([2])), 0, part)
    assert empty.bands_of(wanted[0].encode())[0].tolist() == [2]


def test_records_that_no_enclave_makes_of_a_score_are_taken_by_no_asker(scoring: Scoring) -> None:
    batch = of_firms(scoring, 22)
    release = asked(scoring, batch).release
    certificates = scoring.enclave.enclave._require_open().standing.certificates
    scored = certificates[scoring.asked.certificate.digest].part("tax")
    checked = certificates[scoring.said.steady.certificate.digest].part("tax")
    when = When(int(release.time.timestamp() * 1000), 1).to_bytes()

    def taken(code: int, part: OwnerPart) -> bool:
        charges = bytes([0, 1, 0, 6]) * len(part.charged)
        record = bytes([code]) + b"\1" * CONSENT_BYTES + charges
        try:
            require_sound(JudgedRows(0, batch.packed, when, record), part, release, batch.request)
        except SafeRoomError as error:
            assert error.reason is Reason.BAD_PROOF
            return False
        return True

    truths = {truth: CODES[truth] for truth in Truth}
    assert [band.number for band, code in BANDED.items() if taken(code, scored)] == [1, 2, 3, 4, 5]
    assert [each for each, code in truths.items() if taken(code, scored)] == [Truth.NOT_FOUND]
    assert not [band for band, code in BANDED.items() if taken(code, checked)]
    assert [each for each, code in truths.items() if taken(code, checked)] == [*Truth]


def test_a_subject_is_shown_its_band_and_no_other_row(scoring: Scoring) -> None:
    batch = of_firms(scoring, 23, 24)
    word = asked(scoring, batch)
    shown = held(scoring.said, scoring.enclave, 24).batches[0]
    (row,) = opened(shown, scoring.said.world.subject(24).uscc)
    record = row.record(batch.envelope.suite)
    assert (row.row.index, record) == (1, word.records[1])
    assert record.outcome == Band(by_hand(SCORED[24]))
