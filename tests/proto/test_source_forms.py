"""A source keeps its tables and its days for as long as it keeps its name."""

from __future__ import annotations

import pytest

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.source_forms import SourceForms
from saferoom_proto.statements import ColumnType, Feature, Schema, Source
from simulator.fetching import SOURCE, arrears_features, arrears_schema
from simulator.sample import column


def changed(*, source: Source = SOURCE, extra: bool = False, level: int | None = None) -> Schema:
    """Give the tables, with that of the source otherwise."""
    first = arrears_schema()
    *others, asked = first.tables
    columns = asked.columns
    if extra:
        columns = (*columns, column("note", ColumnType.TEXT, 3))
    if level is not None:
        columns = tuple(each.model_copy(update={"level": level}) for each in columns)
    asked = asked.model_copy(update={"source": source, "columns": columns})
    return first.model_copy(update={"tables": (*others, asked)})


@pytest.mark.parametrize(
    "schema", [changed(extra=True), changed(source=Source(name=SOURCE.name, days=8))]
)
def test_a_source_that_changes_takes_another_name(schema: Schema) -> None:
    without = arrears_schema().model_copy(update={"tables": arrears_schema().loaded})
    # Also where a schema between them did not ask for it.
    forms = SourceForms([arrears_schema(), without])
    with pytest.raises(SafeRoomError, match="tax_arrears: other tables or days") as refusal:
        forms.require(schema)
    assert refusal.value.reason is Reason.CONFLICT


@pytest.mark.parametrize(
    "schema",
    [changed(), changed(level=3), changed(source=Source(name="arrears_of_2027", days=8))],
)
def test_what_an_answer_is_not_held_to_may_change(schema: Schema) -> None:
    forms = SourceForms([arrears_schema()])
    forms.require(schema)
    forms.take(schema)
    with pytest.raises(SafeRoomError) as refusal:
        forms.require(changed(extra=True))
    assert refusal.value.reason is Reason.CONFLICT


def test_the_same_figure_of_another_source_is_another_value() -> None:
    feature: Feature = arrears_features()[0]
    other = feature.model_copy(update={"source": Source(name="other", days=7)})
    assert feature.value_digest != Feature.model_validate(other.model_dump()).value_digest
