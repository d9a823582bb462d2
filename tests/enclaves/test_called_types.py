"""Every type that the plan has called and not handed over, from a provider's answer to cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from saferoom_client.broker.config import SourceConfig
from saferoom_client.broker.provider import Outcome, get, tls_of
from saferoom_client.records.annex import Column, InformationType, Mode, catalogue
from saferoom_client.records.drafting import draft_tables
from saferoom_client.records.offers import offers
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.fetched.answer import open_answer
from saferoom_enclaves.materialise import materialise
from saferoom_proto.statements import Feature, FeatureKind, Source, Table
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL, ColumnType
from saferoom_proto.uscc import make_uscc
from simulator.provider import HOST, Provider, answer_of, provider
from simulator.sample import ROOM

CALLED = [each for each in catalogue().types if each.mode is not Mode.PHYSICAL]
SUBJECT = make_uscc(77)
SOURCE = Source(name="gateway", days=30)
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, Path]]:
    """Give a provider of all of them, and its broker's folder."""
    folder = tmp_path_factory.mktemp("provider")
    with provider(folder) as made:
        yield made, folder


def value(column: Column) -> object:
    """Make up a value, in the form in which a provider writes it."""
    first = column.codes[-1].codes[0] if column.codes else "某项"
    match column.stored:
        case ColumnType.BOOLEAN:
            return False
        case ColumnType.DATE:
            return "2026-03-01"
        case ColumnType.BIGINT:
            return 7
        case ColumnType.DOUBLE | ColumnType.DECIMAL:
            return "0.50"
        case _:
            return first


def features(one: InformationType) -> list[FeatureDefinition]:
    """Give the features that are offered over a type, as of a source."""
    made: list[FeatureDefinition] = []
    for offered in offers().features.values():
        if offered.types != (one.id,):
            continue
        draft = dict(offered.draft(date(2026, 6, 30)))
        del draft["questions"]
        prior = {"prior": "yearbook 2025"} if offered.kind is FeatureKind.ORDERED else {}
        level = max(offered.level, CONSENT_FROM_LEVEL)
        own = {"room": ROOM, "owner": "tax", "level": level, "budget_bits": "1"}
        fields = {**draft, **own, "source": SOURCE.model_dump(), **prior}
        made.append(
            FeatureDefinition.of(Feature.model_validate_json(json.dumps(fields, default=str)))
        )
    return made


@pytest.mark.parametrize("one", CALLED, ids=lambda one: one.id)
def test_a_type_is_called_and_its_offered_features_are_computed(
    one: InformationType, running: tuple[Provider, Path]
) -> None:
    up, folder = running
    tables = tuple(
        Table.model_validate({**dict(each), "source": SOURCE})
        for each in draft_tables(one.tables, (), ())
    )
    rows = {
        form.name: [{each.name: value(each) for each in form.columns if each.name != form.key}]
        for form in one.tables
    }
    up.behaviour = lambda exchange, _, subject: exchange.send(answer_of(subject, rows))
    config = SourceConfig(
        url=f"https://{HOST}:{up.port}/v1/{one.id}",
        authorities="ca.pem",
        certificate="client.pem",
        key="client.key",
    )
    reply = get(config, tls_of(folder, config), SUBJECT, 30)
    assert reply.outcome is Outcome.ANSWERED
    definitions = features(one)
    with closing(open_answer(reply.data, SUBJECT, tables)) as opened:
        found = materialise(opened, definitions, {each.name: each for each in tables})
    assert (found.refused, [each.decode() for each in found.subjects]) == ({}, [SUBJECT])
    assert len(found.columns) == len(definitions) > 0
    described = json.loads((DOCS / "provider.openapi.json").read_text())
    answers = described["paths"][f"/{one.id}/{{subject}}"]["get"]["responses"]["200"]
    told = answers["content"]["application/json"]["schema"]["properties"]["tables"]["properties"]
    assert {name: set(each["items"]["required"]) for name, each in told.items()} == {
        name: set(held[0]) for name, held in rows.items()
    }


def test_the_plan_has_twelve_types_called_and_two_either_way() -> None:
    assert [each.mode for each in CALLED].count(Mode.INTERFACE) == 12
    assert len(CALLED) == 14
