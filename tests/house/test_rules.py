"""Every rule that people meet is said in Chinese too, and none is listed that nobody gives."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from saferoom_client.cli import (
    answers_met,
    drafts_met,
    enclaves_met,
    faults_met,
    files_met,
    proofs_met,
    rooms_met,
    rules_met,
    statements_met,
    trainings_met,
)

Code = Mapping[str, Sequence[ast.AST]]
LISTED = (
    *(*rules_met.RULES, *rules_met.WITH_VALUES, *drafts_met.DRAFTS, *drafts_met.DRAFTS_WITH_VALUES),
    *(*faults_met.FAULTS, *faults_met.FAULTS_WITH_VALUES, *statements_met.STATEMENTS),
    *(*proofs_met.PROOFS, *answers_met.ANSWERS, *rooms_met.ROOMS, *enclaves_met.ENCLAVES),
    *(*files_met.FILES, *trainings_met.TRAININGS),
)


@pytest.fixture(scope="module")
def tool(root: Path) -> ModuleType:
    sys.path.insert(0, str(root / "tools"))
    try:
        return import_module("rules")
    finally:
        sys.path.remove(str(root / "tools"))


@pytest.fixture(scope="module")
def code(tool: ModuleType) -> Code:
    return tool.all_code()


@pytest.fixture(autouse=True)
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_CN")


def test_every_rule_that_people_meet_is_said_in_chinese(tool: ModuleType, code: Code) -> None:
    assert len(list(tool.rules(code))) > 1500  # it has looked
    unsaid = [f"{rule.module}:{rule.line}: {rule.text}" for rule in tool.unsaid(code)]
    assert unsaid == [], (
        "list it in saferoom_client/cli/*_met.py, and write its Chinese: make words"
    )


def test_every_rule_that_is_listed_is_given_somewhere_and_listed_once(
    tool: ModuleType, code: Code
) -> None:
    given: set[str] = tool.shapes(code)
    for rule in {tool.shape(each) for each in LISTED} - given:
        pattern = re.escape(rule).replace(re.escape("{}"), ".+")  # a place for more than one value
        assert any(re.fullmatch(pattern, text) for text in given), rule
    assert len(LISTED) == len(set(LISTED))


@pytest.mark.parametrize(
    ("module", "source", "met"),
    [
        ("saferoom/x.py", 'raise SafeRoomError(r, "of no known colour")', False),
        ("saferoom/x.py", 'raise SafeRoomError(r, d, [FieldFault(f, "of no known colour")])', True),
        ("saferoom/x.py", 'rule = "of no known colour"', True),
        ("saferoom/restore.py", 'raise _bad("of no known colour")', True),
        ("proto/saferoom_proto/x.py", 'raise ValueError("of no known colour")', True),
        ("proto/saferoom_proto/hpke.py", 'raise ValueError("of no known colour")', False),
        ("clients/x.py", 'raise SafeRoomError(r, f"{of} no known colour")', True),
        ("clients/x.py", 'detail = "of one" if a else "of no known " + colour', True),
        ("clients/x.py", 'def f(a, rule): ...\nf(1, "of no known colour")', True),
        ("clients/x.py", 'raise NotImplementedError("of no known colour")', False),
        ("clients/x.py", 'raise SafeRoomError(r, "it is not there")', False),
    ],
)
def test_a_rule_that_nobody_has_translated_is_named_if_people_meet_it(
    module: str, source: str, met: bool, tool: ModuleType
) -> None:
    assert any(tool.unsaid({module: tool.nodes_of(source)})) == met
