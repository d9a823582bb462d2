"""A feature's draft is tried for its approver alone, and tells rules and rounded counts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto import hpke
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature, FeatureKind, FeatureTrial, load, seal_statement
from saferoom_proto.verdict import FEWEST, ROUNDED_TO, Verdict, open_verdict, told
from simulator import EnclaveHarness, Firm, Sample, tax_csv
from simulator.attended import fault_key
from simulator.sample import feature, ordered

VAT = "SELECT uscc AS subject, vat AS value FROM firms"
FIRMS = {
    serial: Firm(str(1000 * serial), arrears=serial <= 3, rating="A") for serial in range(1, 200)
} | {200: Firm("", arrears=False, rating="B")}


def draft(sql: str = VAT, *grid: str) -> Feature:
    return ordered("tax", "drafted", sql, grid or ("50000", "150000"))


def refused(enclave: EnclaveHarness, order: Envelope) -> Reason:
    with pytest.raises(SafeRoomError) as error:
        enclave.tried(order)
    return error.value.reason


@pytest.fixture
def many(enclave: EnclaveHarness, room: Sample) -> EnclaveHarness:
    """Give an enclave with two hundred firms."""
    enclave.load({"firms": tax_csv(room.world, FIRMS)})
    return enclave


def test_a_draft_tells_its_approver_who_falls_where_in_round_numbers(many: EnclaveHarness) -> None:
    counted = many.verdict(many.trial(draft())).counted
    assert counted is not None
    assert counted.cells == (50, 100, 50)
    assert counted.unknown is None
    assert counted.suggested == tuple(
        Decimal(each) for each in (25000, 50000, 75000, 100000, 120000, 150000, 180000)
    )


def test_flags_and_classes_are_counted_by_their_cells(many: EnclaveHarness) -> None:
    flag = feature("tax", "f", "SELECT uscc AS subject, arrears AS value FROM firms",
                   FeatureKind.FLAG)  # fmt: skip
    counted = many.verdict(many.trial(flag)).counted
    assert counted is not None
    assert (counted.cells, counted.suggested) == ((195, None), ())


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT uscc AS subject, nothing AS value FROM firms", "nothing"),
        ("SELECT uscc AS subject, 1 AS value FROM elsewhere", "only the owner's own tables"),
        ("SELECT * FROM read_csv('/etc/passwd')", "line 1 column"),
        ("SELECT uscc AS subject, now() AS value FROM firms", "the function now is not listed"),
        ("SELECT uscc AS subject, rating AS value FROM firms", "a number, not VARCHAR"),
        ("SELECT uscc AS subject, vat AS value FROM firms WHERE uscc = '91990000000000350B'",
         "line 1 column"),
    ],
)  # fmt: skip
def test_a_draft_that_the_enclave_would_not_compute_is_told_why_and_where(
    many: EnclaveHarness, sql: str, rule: str
) -> None:
    verdict = many.verdict(many.trial(draft(sql)))
    assert verdict.counted is None
    assert rule in (verdict.fault or "")


def test_several_rows_of_ten_subjects_are_told_to_its_owner_only(
    enclave: EnclaveHarness, room: Sample
) -> None:
    for twice, fault in ((range(1, 11), "more than one row"), (range(1, 10), None)):
        table = tax_csv(room.world, FIRMS)
        more = tax_csv(room.world, {serial: FIRMS[serial] for serial in twice})
        enclave.load({"firms": table + more.partition(b"\n")[2]})
        verdict = enclave.verdict(enclave.trial(draft()))
        assert (fault or "") in (verdict.fault or "")
        assert bool(verdict.fault) is bool(fault)
    # Those nine are unknown: 191 firms are left, and one of them has no value.
    assert verdict.counted is not None
    assert (verdict.counted.cells, verdict.counted.unknown) == ((40, 100, 50), 10)


BIG = "TRY_CAST('9e37' AS DECIMAL(38, 0))"
"""The largest number: twice as much of it fails, and DuckDB would quote it."""


def failing_where(condition: str) -> str:
    return f"SELECT uscc AS subject, CASE WHEN {condition} THEN {BIG} * 2 ELSE vat END AS value"


@pytest.mark.parametrize("condition", ["vat > 5000", "vat <= 10000", "true", "rating = 'A'"])
def test_a_failure_on_ten_subjects_is_told_without_what_the_engine_says(
    many: EnclaveHarness, condition: str
) -> None:
    verdict = many.verdict(many.trial(draft(f"{failing_where(condition)} FROM firms")))
    assert (verdict.fault, verdict.counted) == ("it fails on the records", None)


def test_a_failure_on_nine_subjects_leaves_them_unknown(many: EnclaveHarness) -> None:
    sql = f"{failing_where('vat BETWEEN 7000 AND 15000')} FROM firms"
    verdict = many.verdict(many.trial(draft(sql)))
    assert verdict.fault is None
    counted = verdict.counted
    assert counted is not None
    assert (counted.cells, counted.unknown) == ((40, 100, 50), 10)  # 40, 100, 50; 9 and one without
    assert len(counted.suggested) == 7


def test_before_any_load_a_draft_is_checked_against_the_tables(
    room: Sample, enclave: EnclaveHarness
) -> None:
    court = EnclaveHarness(room.court, enclave.folder.parent / "court")
    sql = "SELECT uscc AS subject, dishonest AS value FROM judgments"
    good = feature("court", "d", sql, FeatureKind.FLAG)
    assert court.verdict(court.trial(good)) == Verdict(fault=None, counted=None)
    bad = feature("court", "d", sql.replace("dishonest", "honest"), FeatureKind.FLAG)
    assert "honest" in (court.verdict(court.trial(bad)).fault or "")
    court.close()


def test_a_trial_changes_nothing_and_no_answer_comes_of_it(
    enclave: EnclaveHarness, room: Sample
) -> None:
    before = enclave.enclave.whereabouts().chain_length
    enclave.verdict(enclave.trial(draft()))
    assert enclave.enclave.whereabouts().chain_length == before
    assert enclave.ask(room.question()).reason is None


def test_only_an_approver_of_this_owner_has_a_draft_tried(
    enclave: EnclaveHarness, room: Sample
) -> None:
    order = enclave.trial(draft())
    says = load(order, FeatureTrial)
    for forged in (
        seal_statement(says, room.world.seeds.signing("nobody")),
        seal_statement(says, room.tax.approvers["li"]),
        seal_statement(says, room.bank.key),
        seal_statement(says, room.court.approvers["chen"]),
    ):
        assert refused(enclave, forged) is Reason.BAD_SIGNATURE
    other = says.model_copy(update={"owner": "court"})
    court = seal_statement(other, room.court.approvers["chen"])
    assert refused(enclave, court) is Reason.BAD_CHARTER
    foreign = says.model_copy(update={"draft": ordered("court", "drafted", VAT, ["1"])})
    assert refused(enclave, seal_statement(foreign, room.tax.approvers["chen"])) is (
        Reason.BAD_SIGNATURE
    )


def test_a_verdict_opens_for_who_ordered_it_alone_and_for_this_trial(
    enclave: EnclaveHarness, room: Sample
) -> None:
    order, other = enclave.trial(draft()), enclave.trial(draft(VAT, "7"))
    sealed = enclave.tried(order)
    for key, trial in (
        (hpke.SealingKey.generate(), order),
        (room.world.seeds.sealing("loads of court"), order),
        (fault_key(room.tax), other),
    ):
        with pytest.raises(SafeRoomError, match="BAD_SEAL"):
            open_verdict(sealed, key, trial.digest)


def test_all_verdicts_have_one_length(many: EnclaveHarness) -> None:
    orders = [many.trial(each) for each in (draft(), draft("SELECT 1"), draft(VAT, "1", "2"))]
    assert len({len(many.tried(each)) for each in orders}) == 1


def test_an_old_order_is_not_carried_out(enclave: EnclaveHarness, room: Sample) -> None:
    order = enclave.trial(draft())
    room.world.clock.advance(301)
    enclave.follow()
    assert refused(enclave, order) is Reason.EXPIRED
    ahead = enclave.trial(draft(), at=room.world.now() + timedelta(minutes=6))
    assert refused(enclave, ahead) is Reason.NOT_YET_VALID


ISOLATING_VALUE = f"{failing_where('vat = {wanted}')} FROM firms"
ISOLATING_CONDITION = f"{VAT} WHERE CASE WHEN vat = {{wanted}} THEN {BIG} * 2 ELSE vat END >= 0"
ISOLATING_SUM = (
    f"SELECT uscc AS subject, sum(CASE WHEN vat = {{wanted}} THEN {BIG} + {BIG} ELSE vat END)"
    " AS value FROM firms GROUP BY uscc"
)
ISOLATING_FILTER = (
    f"SELECT uscc AS subject, sum(vat) FILTER (CASE WHEN vat = {{wanted}} THEN {BIG} + {BIG}"
    " ELSE vat END >= 0) AS value FROM firms GROUP BY uscc"
)


def test_one_subject_s_value_is_not_read_by_a_draft_that_isolates_it(
    many: EnclaveHarness,
) -> None:
    # Firm 7 pays 7,000; a flag that is true of it alone says no more than one true of nobody.
    for wanted in (7000, 7001):
        sql = f"SELECT uscc AS subject, vat = {wanted} AS value FROM firms"
        counted = many.verdict(many.trial(feature("tax", "f", sql, FeatureKind.FLAG))).counted
        assert counted is not None
        assert counted.cells == (200, None)
    # Nor does one that fails on it alone, in whatever way.
    for isolating in (ISOLATING_VALUE, ISOLATING_CONDITION, ISOLATING_SUM, ISOLATING_FILTER):
        for wanted in (7000, 7001):
            verdict = many.verdict(many.trial(draft(isolating.format(wanted=wanted))))
            assert verdict.fault is None, isolating
            assert verdict.counted is not None
            assert (verdict.counted.cells, verdict.counted.unknown) == ((50, 100, 50), None)
    # Nor does a grid: of few subjects none is suggested.
    few = many.verdict(many.trial(draft(f"{VAT} WHERE vat BETWEEN 7000 AND 7500"))).counted
    assert few is not None
    assert (few.cells, few.unknown, few.suggested) == ((None, None, None), None, ())


def test_one_subject_s_two_rows_are_not_told(enclave: EnclaveHarness, room: Sample) -> None:
    # Every firm has two rows: who is asked about with its value, has two there too.
    table = tax_csv(room.world, FIRMS)
    enclave.load({"firms": table + table.partition(b"\n")[2]})
    for wanted in (7000, 7001):
        verdict = enclave.verdict(enclave.trial(draft(f"{VAT} WHERE vat = {wanted}")))
        assert verdict.fault is None
        assert verdict.counted is not None
        assert (verdict.counted.cells, verdict.counted.unknown) == ((None, None, None), None)


@given(st.integers(min_value=0, max_value=10**9))
def test_no_count_is_told_exactly(subjects: int) -> None:
    count = told(subjects)
    if count is None:
        assert subjects < FEWEST
    else:
        assert count % ROUNDED_TO == 0
        assert abs(count - subjects) <= ROUNDED_TO // 2
