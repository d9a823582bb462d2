"""How far the plan is carried out, read from words that stand in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from saferoom_client.records.annex import catalogue
from saferoom_client.records.coverage import Store, coverage
from saferoom_client.records.drafting import draft_tables
from saferoom_proto.statements import ChainLink, Schema, Snapshot, StoreState, seal_statement
from saferoom_proto.statements.feature import Table
from tests.client.story import Story

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KNOWN = catalogue()


def tables(*types: str) -> list[Table]:
    """Give the tables of types as `schema draft` makes them."""
    return list(draft_tables([form for each in types for form in KNOWN.type(each).tables], [], []))


def store(owner: str, held: list[Table], rows: dict[str, int], days: float = 0) -> Store:
    """Make up what the log says of an owner's store."""
    story = Story()
    schema = Schema(room=story.world.room, owner=owner, version=1, tables=tuple(held))
    return Store(schema, snapshot(story, owner, "sha256:" + "0" * 64, rows, days))


def snapshot(
    story: Story, owner: str, schema: str, rows: dict[str, int], days: float = 0
) -> Snapshot:
    digest = story.feature.digest
    return Snapshot(
        room=story.world.room,
        owner=owner,
        endorsement=story.enclave.endorsement.digest,
        schema_digest=schema,
        store=StoreState(epoch=1, digest=digest),
        previous=None,
        order=digest,
        rows=rows,
        chain=ChainLink(index=0, previous="sha256:" + "0" * 64),
        time=NOW - timedelta(days=days),
    )


def test_of_every_type_it_is_told_who_brought_how_much_and_when() -> None:
    tax = store("tax", tables("3.1", "3.4"), {"tax_credit_grade": 900, "tax_record_tax_audit": 7})
    water = store(
        "water", tables("12.1"), {"util_water": 40, "util_water_monthly_payment": 0}, 40.5
    )
    told = {each.type.id: each for each in coverage(KNOWN, [water, tax], NOW)}
    assert len(told) == 48
    (grades,) = told["3.1"].brought
    assert (grades.owner, grades.rows, grades.days(NOW), grades.lacking) == ("tax", 900, 0, ())
    (records,) = told["3.4"].brought
    assert (records.tables, records.rows) == (("tax_record_tax_audit",), 7)
    assert set(records.lacking) == {form.name for form in KNOWN.type("3.4").tables} - {
        "tax_record_tax_audit"
    }
    assert told["12.1"].brought[0].days(NOW) == 40


def test_a_type_is_overdue_once_its_month_is_over_and_nobody_brought_a_row() -> None:
    empty = store("court", tables("2.4"), {"court_dishonest_executee": 0})
    told = {each.type.id: each for each in coverage(KNOWN, [empty], NOW)}
    assert told["2.4"].overdue
    assert told["2.4"].brought == ()
    assert not told["11.2"].overdue  # ongoing: it has no month
    in_march = datetime(2023, 3, 31, 23, tzinfo=UTC)
    assert not any(each.overdue for each in coverage(KNOWN, [], in_march))
    in_april = datetime(2023, 4, 1, tzinfo=UTC)
    assert sum(each.overdue for each in coverage(KNOWN, [], in_april)) == 41


def test_what_the_catalogue_has_and_a_schema_has_not_is_named() -> None:
    (whole,) = tables("3.1")
    fewer = whole.model_copy(update={"columns": whole.columns[1:]})
    (found,) = [
        each.brought
        for each in coverage(KNOWN, [store("tax", [fewer], {"tax_credit_grade": 1})], NOW)
        if each.brought
    ]
    assert found[0].lacking == ("tax_credit_grade.company_name",)


def test_two_owners_may_bring_the_same_type() -> None:
    both = [store(owner, tables("15.1"), {"public_resource_bid_result": 3}) for owner in ("b", "a")]
    told = {each.type.id: each for each in coverage(KNOWN, both, NOW)}
    assert [each.owner for each in told["15.1"].brought] == ["a", "b"]


def test_an_audit_takes_the_last_word_of_each_enclave_and_none_that_is_not_right() -> None:
    story = Story().begin()
    (before,) = story.audit().stores
    schema = Schema(room=story.world.room, owner="tax", version=2, tables=tuple(tables("3.1")))
    story.schema = story.tax.publish_schema(schema)
    story.follow(story.schema)
    story.load(2, rows={"tax_credit_grade": 5})
    story.load(3, rows={"tax_credit_grade": 9})
    audited = story.audit()
    assert before.snapshot.rows == {}
    assert [each.snapshot.rows for each in audited.stores] == [{"tax_credit_grade": 9}]
    assert audited.violations == []
    forged = snapshot(story, "tax", story.schema.digest, {"tax_credit_grade": 99})
    story.log.append(seal_statement(forged, story.bank.key))
    audited = story.audit()
    assert [each.snapshot.rows for each in audited.stores] == [{"tax_credit_grade": 9}]
    assert len(audited.violations) == 1
