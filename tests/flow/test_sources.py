"""A source through a whole room: server, enclave, broker, and a provider that speaks HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client import Refused
from saferoom_client.cli import app
from saferoom_client.tongue import Language
from saferoom_client.values import CheckAnswer
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import verify_receipt
from saferoom_proto.statements import Absent, FeatureKind
from saferoom_proto.uscc import make_uscc
from simulator.fetching import SOURCE, arrears_table, row, write_config
from simulator.provider import Exchange, Provider, provider
from tests.flow.live import LiveRoom
from tests.flow.offers import feature, tax_schema, title

OWED = "tax.owed"
FIRM, OTHER = make_uscc(900), make_uscc(901)
LEAST = {"least": "10000"}
NAME = "owes-at-least"
SUMMED = "SELECT uscc AS subject, sum(arrears_amount) AS value FROM tax_arrears GROUP BY uscc"
DRAFT = """\
kind: Aggregate
name: firms-by-what-they-owe
title: {en: Firms by what they owe, zh: 按欠税额的企业数}
purposes: [product-design]
aggregate:
  dimensions: [tax.owed]
  measures:
    - {kind: count}
  ways: 1
"""


@pytest.fixture(scope="session")
def asked(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Have the tax office's arrears asked of a provider, and a check about them approved."""
    schema = tax_schema()
    tables = (*schema.tables, arrears_table())
    owed = feature(
        {
            "owner": "tax",
            "name": "owed",
            "title": title("Taxes owed"),
            "level": 3,
            "family": "arrears",
            "sql": SUMMED,
            "kind": FeatureKind.ORDERED,
            "grid": (Decimal(1), Decimal(10_000)),
            "absent": Absent.FALSE,
            "source": SOURCE,
            "prior": "annual report 2025, table 3",
        }
    )
    with live.open("tax", "li") as room:
        changed = room.put_schema(schema.model_copy(update={"version": 2, "tables": tables}))
        live.schemas["tax"] = changed.statement.digest
        room.put_feature(owed)
    live.approve(live.propose("paid-enough", name=NAME, feature=OWED))
    for firm in (FIRM, OTHER):
        live.enrol(firm, "self")
    folder = tmp_path_factory.mktemp("broker")
    with provider(folder) as running:
        write_config(folder, live.brokers["tax"] / "s", running.port, tries=1)
        live.processes.spawn("broker", "-m", "saferoom_client", "broker", "run", str(folder))
        try:
            live.processes.wait_for(
                lambda: "attending" in live.processes.log("broker"), "the broker attends to nobody"
            )
            yield running
        finally:
            live.processes.kill("broker")


def ask(live: LiveRoom, firm: str) -> tuple[Truth, float]:
    """Ask whether a firm owes so much: the answer, as its receipt shows it, and its price."""
    answers: list[CheckAnswer] = []
    with live.open("bank-a", "desk") as bank:
        question = bank.prepare(NAME, subject=firm, purpose="pre-loan", params=LEAST)

        def told() -> bool:
            try:
                answers.append(bank.ask(question))
            except Refused as refused:
                if refused.reason is not Reason.SOURCE_PENDING:  # on a machine with much to do
                    raise
            return bool(answers)

        live.processes.wait_for(told, "the record is not there")
    (answer,) = answers
    assert verify_receipt(answer.receipt, bank.profile.trust).answer is answer.truth
    return answer.truth, answer.bits


def bits(live: LiveRoom, firm: str) -> float:
    """Tell what a check about a firm would cost."""
    with live.open("bank-a", "desk") as bank:
        return bank.cost(NAME, subject=firm, purpose="pre-loan", params=LEAST).bits


def failing(exchange: Exchange, source: str, subject: str) -> None:
    """Fail."""
    del source, subject
    exchange.send(b"", 500)


def test_a_source_answers_under_consent_and_costs_nothing_while_its_provider_is_down(
    live: LiveRoom, asked: Provider
) -> None:
    with pytest.raises(Refused, match="NO_CONSENT"):
        ask(live, FIRM)
    assert asked.asked == []
    for firm in (FIRM, OTHER):
        live.consent(firm, "bank-a", features=(OWED,))
    asked.behaviour = failing
    with pytest.raises(Refused, match="SOURCE_UNAVAILABLE"):
        ask(live, OTHER)
    assert asked.asked == [(SOURCE.name, OTHER)]
    price = bits(live, FIRM)
    assert bits(live, OTHER) == price > 0
    asked.behaviour = asked.honest
    asked.rows[FIRM] = {"tax_arrears": [row("4000.50"), row("7999.50")]}
    assert ask(live, FIRM) == (Truth.YES, price)
    assert ask(live, FIRM) == (Truth.YES, 0)
    assert asked.asked == [(SOURCE.name, OTHER), (SOURCE.name, FIRM)]
    with live.open(FIRM, "self") as subject:
        held = {each.name: each.rows for each in subject.get_holdings("tax").holdings.tables}
    assert len(held["tax_arrears"]) == 2
    assert FIRM not in live.processes.log("broker")


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (Language.EN, "tax.owed is asked of a source, about one subject at a time"),
        (Language.ZH, "tax.owed 系逐个主体向数据接口查询"),
    ],
)
def test_tables_over_a_source_are_refused_when_they_are_proposed(
    live: LiveRoom, asked: Provider, language: Language, told: str, tmp_path: Path
) -> None:
    before = len(asked.asked)
    draft = tmp_path / "tables.yaml"
    draft.write_text(DRAFT, "utf-8")
    command = ["template", "propose", str(draft), "-p", str(live.member("bank-a", "desk"))]
    refused = CliRunner().invoke(app, command, env={"SAFEROOM_LANG": language, "COLUMNS": "200"})
    assert refused.exit_code
    assert Reason.NOT_ALLOWED in refused.output
    assert told in refused.output
    assert len(asked.asked) == before
