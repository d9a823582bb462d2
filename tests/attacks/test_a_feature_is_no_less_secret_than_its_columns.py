"""A feature of a low level over a secret column would need no consent: no enclave computes one."""

from __future__ import annotations

import pytest

from saferoom_enclaves.features.computed import FeatureDefinition, FeatureRule
from saferoom_enclaves.materialise import check_definition
from saferoom_proto.answer import Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ColumnType, Feature, FeatureKind
from simulator import EnclaveHarness, Sample, tax_csv
from simulator.sample import column, feature, schema, table

OPEN, QUIET, SECRET, NAMED = 1, 2, 3, 4
TABLES = (
    table(
        "firms",
        column("open", ColumnType.BOOLEAN, OPEN),
        column("quiet", ColumnType.BOOLEAN, QUIET),
        column("secret", ColumnType.BOOLEAN, SECRET),
        column("named", ColumnType.BOOLEAN, NAMED),
    ),
    table("more", column("secret", ColumnType.BOOLEAN, SECRET)),
)
FIRMS = "AS value FROM firms"
JOINED = (
    f"SELECT f.uscc AS subject, open {FIRMS} f JOIN more ON f.uscc = more.uscc WHERE more.secret"
)


def flag(sql: str, level: int) -> Feature:
    return feature("tax", "drafted", sql, FeatureKind.FLAG, level=level)


def fault(sql: str, level: int) -> str | None:
    """Have a definition checked; gives the rule that it breaks."""
    try:
        definition = FeatureDefinition.of(flag(sql, level))
        check_definition(definition, {each.name: each for each in TABLES})
    except SafeRoomError as refusal:
        assert refusal.reason is Reason.MALFORMED_SQL
        return refusal.fields[0].rule
    return None


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        (f"SELECT uscc AS subject, true {FIRMS}", OPEN),
        (f"SELECT uscc AS subject, count(uscc) > 1 {FIRMS} GROUP BY uscc", OPEN),
        (f"SELECT uscc AS subject, open {FIRMS}", OPEN),
        (f"SELECT uscc AS subject, quiet AND open {FIRMS}", QUIET),
        (f"SELECT uscc AS subject, quiet {FIRMS} -- and not secret", QUIET),
        (f"SELECT uscc AS subject, secret {FIRMS}", SECRET),
        (f'SELECT uscc AS subject, "SECRET" {FIRMS}', SECRET),
        (f"SELECT uscc AS subject, f.secret {FIRMS} f", SECRET),
        (f"SELECT uscc AS subject, secret IS NULL {FIRMS}", SECRET),
        (f"SELECT uscc AS subject, open {FIRMS} WHERE secret", SECRET),
        (f"SELECT uscc AS subject, CASE WHEN open THEN true ELSE secret END {FIRMS}", SECRET),
        (f"SELECT uscc AS subject, coalesce(open, quiet, secret) {FIRMS}", SECRET),
        (f"SELECT uscc AS subject, TRY_CAST(secret AS BIGINT) > 0 {FIRMS}", SECRET),
        (f"SELECT uscc AS subject, secret IS TRUE {FIRMS}", SECRET),
        (f"SELECT uscc AS subject, true IN (open, secret) {FIRMS}", SECRET),
        (f"SELECT uscc AS subject, bool_or(secret) {FIRMS} GROUP BY uscc", SECRET),
        (f"SELECT uscc AS subject, count(secret) > 0 {FIRMS} GROUP BY uscc", SECRET),
        (f"SELECT uscc AS subject, bool_or(open) FILTER (secret) {FIRMS} GROUP BY uscc", SECRET),
        (f"SELECT uscc AS subject, arg_min(open, secret) {FIRMS} GROUP BY uscc", SECRET),
        (f"SELECT uscc AS subject, m.secret {FIRMS} LEFT JOIN more m USING (uscc)", SECRET),
        (JOINED, SECRET),
        (f"SELECT uscc AS subject, secret AND named {FIRMS}", NAMED),
    ],
)  # fmt: skip
def test_a_feature_has_the_level_of_the_most_secret_column_it_reads_or_a_higher(
    sql: str, level: int
) -> None:
    for own in range(OPEN, NAMED + 1):
        broken = fault(sql, own)
        if own >= level:
            assert broken is None
        else:
            assert f"of level {level}: its own level must be {level} or more, not {own}" in (
                broken or ""
            )


def test_its_author_is_told_which_column_before_anything_is_signed(enclave: EnclaveHarness) -> None:
    sql = f"SELECT uscc AS subject, vat > 7000 {FIRMS}"
    verdict = enclave.verdict(enclave.trial(flag(sql, QUIET)))
    rule = "it reads firms.vat, of level 3: its own level must be 3 or more, not 2"
    assert (verdict.fault, verdict.counted) == (rule, None)
    assert enclave.verdict(enclave.trial(flag(sql, SECRET))).fault is None


def test_one_that_was_signed_all_the_same_is_computed_by_no_enclave(
    room: Sample, enclave: EnclaveHarness
) -> None:
    room.tax.define(feature("tax", "spied", f"SELECT uscc AS subject, vat > 7000 {FIRMS}",
                            FeatureKind.FLAG, level=OPEN))  # fmt: skip
    spying = room.approved("spying", "tax.spied IS TRUE")  # of level 1: it would need no consent
    enclave.follow()
    assert enclave.ask(room.question()).truth is Truth.YES
    assert plainly(enclave, room.question(asked=spying)) is Reason.NO_DATA
    assert str(FeatureRule.LEVEL) in enclave.log.getvalue()


def plainly(enclave: EnclaveHarness, question: Envelope) -> Reason:
    """Have a question refused as what cannot be judged is."""
    with pytest.raises(SafeRoomError) as refusal:
        enclave.judge(question)
    return refusal.value.reason


def test_a_column_that_becomes_more_secret_takes_its_features_along(
    room: Sample, enclave: EnclaveHarness
) -> None:
    assert enclave.ask(room.question(asked=room.public)).reason is None
    open_now = feature("tax", "late", f"SELECT uscc AS subject, arrears {FIRMS}", FeatureKind.FLAG)
    room.tax.define(open_now.model_copy(update={"level": QUIET}))
    late = room.approved("late", "tax.late IS TRUE")
    room.world.subject(1).give(room.bank, ("tax.late",))
    enclave.follow()
    assert enclave.ask(room.question(asked=late)).reason is None
    raised = schema(
        "tax",
        table(
            "firms",
            column("vat", ColumnType.DECIMAL, SECRET),
            column("arrears", ColumnType.BOOLEAN, SECRET),
            column("rating", ColumnType.TEXT, QUIET),
        ),
        version=2,
    )
    room.tax.publish_schema(raised)
    enclave.follow()
    assert enclave.ask(room.question(asked=late)).reason is None  # of the tables as they were
    enclave.load({"firms": tax_csv(room.world)})
    enclave.follow()
    assert plainly(enclave, room.question(asked=late)) is Reason.NO_DATA
    assert enclave.ask(room.question(asked=room.public)).reason is None
