"""A rule that an enclave or the room names is told in the language of whoever broke it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.cli.rules_met import RULES, say_rule
from saferoom_client.tongue import Language, speak

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def givers() -> str:
    """All code that gives rules."""
    places = (TOP / "proto/saferoom_proto", TOP / "saferoom", TOP / "enclaves")
    return "".join(path.read_text("utf-8") for place in places for path in place.rglob("*.py"))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_that_is_listed_is_given_somewhere(rule: str, givers: str) -> None:
    assert f'"{rule}"' in givers


def test_a_rule_is_translated_behind_what_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "")
    speak(Language.ZH)
    thresholds = "it is not one of the feature's thresholds"
    assert say_rule(f"tax.vat_paid: {thresholds}") == "tax.vat_paid: 不是该指标的阈值之一"
    assert say_rule("missing") == "缺少"
    assert say_rule("what: nobody has translated") == "what: nobody has translated"
    speak(Language.EN)
    assert say_rule(f"tax.vat_paid: {thresholds}") == f"tax.vat_paid: {thresholds}"
