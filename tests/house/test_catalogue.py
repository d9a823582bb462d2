"""The Chinese words are whole: none untranslated, fuzzy or stale, places as in English."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog


@pytest.fixture(scope="module")
def tool(root: Path) -> ModuleType:
    sys.path.insert(0, str(root / "tools"))
    try:
        return import_module("catalogue")
    finally:
        sys.path.remove(str(root / "tools"))


def made(**strings: str) -> Catalog:
    catalogue = Catalog(locale="zh_CN", fuzzy=False)
    for message, string in strings.items():
        catalogue.add(message, string)
    return catalogue


def test_every_message_is_translated_and_compiled(tool: ModuleType) -> None:
    kept, said = tool.read(), tool.messages()
    assert {"not found", "The deadline passed.", "OWNER", "Your member folder."} <= said
    assert list(tool.faults(kept, said)) == []
    assert tool.is_compiled(kept)
    assert not tool.is_compiled(made(done="好"))
    assert tool.PO.read_bytes() == tool.written(tool.renewed(kept, said))


def test_what_is_missing_stale_or_altered_is_named(tool: ModuleType) -> None:
    kept = made(done="好", empty="", gone="没了", **{"to {where}": "到 {there}"})
    kept.add("guessed", "猜", flags=["fuzzy"])
    said = {"done", "empty", "new", "guessed", "to {where}", "both 两种"}
    found = "\n".join(tool.faults(kept, said))
    assert found.splitlines() == [
        "Chinese stands in the code: 'both 两种'",
        "not translated: 'empty'",
        "fuzzy: 'guessed'",
        "not translated: 'new'",
        "other places than in English: 'to {where}'",
        "said no more: 'gone'",
    ]


def test_a_renewed_catalogue_keeps_what_was_written(tool: ModuleType) -> None:
    renewed = tool.renewed(made(kept="留", gone="没了"), {"kept", "new"})
    assert {each.id: each.string for each in renewed if each.id} == {"kept": "留", "new": ""}
