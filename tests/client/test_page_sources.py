"""docs/sources.md is typed as it stands, against a provider; its files are what they say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from saferoom_client.broker.config import BrokerConfig
from saferoom_client.yaml_text import read_yaml
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Feature, Schema
from simulator.fetching import write_config
from simulator.provider import HOST, Exchange, Provider, provider
from tests.client.test_cli import run, three_parts
from tests.flow.pages import DOCS, Block, blocks, run_blocks

SUBJECT = "91990000000001011G"


@dataclass(frozen=True, slots=True)
class Tried:
    """A provider, and the folder of its broker."""

    provider: Provider
    folder: Path


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Tried]:
    """Give a provider that knows one firm, and a broker's folder."""
    with provider(tmp_path / "broker") as running:
        owes = {"is_in_arrears": True, "arrears_amount": "12000.00"}
        running.rows[SUBJECT] = {"tax_arrears": [owes]}
        yield Tried(running, tmp_path / "broker")


def page(tried: Tried) -> list[Block]:
    """Read the page's blocks, the provider in the place of the example's."""
    text = (DOCS / "sources.md").read_text("utf-8")
    text = text.replace("gateway.example", f"{HOST}:{tried.provider.port}")
    text = text.replace("/srv/saferoom/tax-broker", str(tried.folder))
    return [each for each in blocks(text) if each.file is not None or each.kind == "sh"]


def test_the_page_works_as_it_stands(tried: Tried) -> None:
    run_blocks([each for each in page(tried) if not each.stays], tried.folder.parent)
    assert tried.provider.asked == [("tax_arrears", SUBJECT)]
    assert (tried.folder.parent / "units" / "saferoom-broker-tax.service").is_file()
    command = [sys.executable, "-m", "saferoom_client", "broker", "run", str(tried.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        told = broker.stdout.readline()
        broker.terminate()
    # No enclave listens here: it says so, and goes on until it is told to stop.
    assert "the enclave's socket: No such file or directory" in told
    assert broker.returncode == 0


def test_the_pages_tables_and_feature_are_ones(tried: Tried) -> None:
    files = {each.file: each.text for each in page(tried)}
    signed = {"room": "room.example", "owner": "tax"}
    schema = read_yaml(files["arrears.schema.yaml"]).document
    tables = Schema.model_validate_json(_json({**signed, **schema}))
    feature = read_yaml(files["owed.yaml"]).document
    asked = Feature.model_validate_json(_json({**signed, **feature}))
    assert [each.name for each in tables.loaded] == ["firms"]
    assert asked.source is not None
    assert [each.name for each in tables.fetched(asked.source)] == ["tax_arrears"]


def _json(document: object) -> str:
    import json  # noqa: PLC0415

    return json.dumps(document, default=str)


def failing(exchange: Exchange, source: str, subject: str) -> None:
    """Fail."""
    del source, subject
    exchange.send(b"", 500)


def test_a_provider_that_does_not_answer_is_told_with_the_next_step(tried: Tried) -> None:
    write_config(tried.folder, tried.folder / "s", tried.provider.port, seconds=1.0, tries=1)
    tried.provider.behaviour = failing
    words = ("broker", "try", str(tried.folder), "tax_arrears", "--subject", SUBJECT)
    assert "status 500" in run(*words).output
    three_parts(run(*words), Reason.SOURCE_UNAVAILABLE)
    unknown = run("broker", "try", str(tried.folder), "bank", "--subject", SUBJECT)
    assert "no source bank; there are: tax_arrears" in unknown.output
    assert len(tried.provider.asked) == 2


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"url": "http://gateway.example/v1"}, "an interface is https://HOST"),
        ({"url": "https://user@gateway.example/v1"}, "an interface is https://HOST"),
        ({"url": "https://gateway.example/v1?x=1"}, "an interface is https://HOST"),
        ({"url": "https://gateway.example/../v1#x"}, "an interface is https://HOST"),
        ({"url": "https://gateway.example:99999/v1"}, "range"),
        ({"per_day": 0}, "greater than or equal to 1"),
        ({"seconds": 60.0}, "less than or equal to 10"),
        ({"redirects": True}, "Extra inputs are not permitted"),
    ],
)
def test_a_configuration_that_is_not_usable_is_named(
    tried: Tried, limits: dict[str, object], rule: str
) -> None:
    write_config(tried.folder, tried.folder / "s", tried.provider.port, **limits)
    with pytest.raises(SafeRoomError) as refused:
        BrokerConfig.load(tried.folder)
    assert refused.value.reason is Reason.BAD_CONFIG
    fault = refused.value.fields[0]
    assert next(iter(limits)) in fault.field
    assert rule in fault.rule


def test_a_key_that_others_may_read_is_not_used(tried: Tried) -> None:
    write_config(tried.folder, tried.folder / "s", tried.provider.port)
    (tried.folder / "client.key").chmod(0o644)
    said = run("broker", "run", str(tried.folder))
    assert "others may use it (mode 0644)" in three_parts(said, Reason.BAD_CONFIG)
