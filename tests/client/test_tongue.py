"""The command line in English and in Chinese: by locale, and only words for people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.cli.output import mapping
from saferoom_client.cli.tables import table
from saferoom_client.tongue import Language, language_of, say, say_in, speak, titled
from saferoom_proto.reasons import CATALOGUE, Reason
from saferoom_proto.statements import Title

RUNNER: Final = CliRunner(env={"COLUMNS": "120", "SAFEROOM_PROFILE": "", "NO_COLOR": "1"})


@pytest.fixture
def chinese() -> Iterator[None]:
    speak(Language.ZH)
    yield
    speak(Language.EN)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "de_DE.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"SAFEROOM_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, "zh"),
        ({"SAFEROOM_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_language_is_what_the_environment_asks_for(
    environment: dict[str, str], language: str
) -> None:
    assert language_of(environment) == language


@pytest.mark.usefixtures("chinese")
def test_a_message_is_said_with_its_values() -> None:
    assert say("level {level}", level=3) == "级别 3"
    assert say("{most_bits:.2f} bits", most_bits=1.584962) == "1.58 比特"
    assert say("nobody has translated {this}", this=1) == "nobody has translated 1"
    assert say("") == ""
    assert say_in(Language.EN, "not found") == "not found"
    assert titled(Title(en="Tax office", zh="税务局")) == "税务局"


def test_english_is_what_stands_in_the_code() -> None:
    speak(Language.EN)
    assert say("level {level}", level=3) == "level 3"
    assert say_in(Language.ZH, "not found") == "查无"
    assert titled(Title(en="Tax office", zh="税务局")) == "Tax office"


@pytest.mark.usefixtures("chinese")
def test_columns_line_up_although_chinese_takes_two() -> None:
    lines = table(("NAME", "TITLE"), [("bank-a", "甲银行"), ("税务", "x")])
    assert lines == ["名称    标题", "bank-a  甲银行", "税务    x"]
    assert mapping({"owner": "tax", "id": 7}) == ["数源单位  tax", "编号      7"]
    assert table(("NAME",), []) == ["无"]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_words_in_chinese(reason: Reason) -> None:
    words = CATALOGUE[reason]
    assert say_in(Language.ZH, words.what) != words.what
    assert say_in(Language.ZH, words.next_step) != words.next_step


def test_an_error_keeps_its_code_and_its_document_in_either_language(tmp_path: Path) -> None:
    asked = ["whoami", "-p", str(tmp_path / "nobody")]
    told = RUNNER.invoke(app, ["--lang", "zh", *asked])
    assert told.output.startswith("BAD_CONFIG: 配置不可用。\n  位置  ")
    documents = [
        json.loads(RUNNER.invoke(app, ["--lang", language, *asked, "--json"]).output)
        for language in Language
    ]
    assert documents[0] == documents[1]


def test_the_locale_speaks_in_a_process_of_its_own() -> None:
    environment = {**os.environ, "LC_ALL": "zh_CN.UTF-8", "NO_COLOR": "1", "COLUMNS": "100"}
    environment.pop("SAFEROOM_LANG", None)
    shown = subprocess.run(
        [sys.executable, "-m", "saferoom_client", "consent", "grant", "--help"],
        env=environment,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "授权某机构按所列用途和指标查询本主体" in shown
    assert "选项" in shown
    assert "Show this message" not in shown


@pytest.mark.parametrize("command", [("data", "load"), ("agreement", "propose"), ("job", "submit")])
def test_no_word_of_a_help_page_is_cut_off_in_chinese(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = RUNNER.invoke(app, ["--lang", "zh", *command, "--help"]).output
    assert "SAFEROOM_PROFILE" in shown
    assert "…" not in shown


def test_another_language_than_the_two_is_a_usage_error() -> None:
    told = RUNNER.invoke(app, ["--lang", "fr", "whoami"])
    assert told.exit_code == 2
    assert "fr" in told.output
