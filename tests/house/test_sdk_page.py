"""The page on the SDK names what there is: every method, every name that programs import."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import saferoom_client
from saferoom_client import AsyncRoom, Room, public


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "sdk.md").read_text("utf-8")


def methods(kind: type) -> set[str]:
    return {
        name
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and callable(value)
    }


def test_the_page_lists_every_method_that_both_kinds_of_room_have(page: str) -> None:
    own_of_a_session = {"call", "clock", "sign", "recorded"}
    expected = (methods(Room) & methods(AsyncRoom)) - {"open", "close"} - own_of_a_session
    _, _, table = page.partition("## The methods")
    assert set(re.findall(r"`(\w+)`", table)) - {"Room", "AsyncRoom"} == expected
    assert methods(AsyncRoom) - methods(Room) <= own_of_a_session
    assert all(inspect.getdoc(getattr(Room, name)) for name in expected)


def test_every_snippet_of_the_page_is_python(page: str) -> None:
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(snippets) > 4
    for snippet in snippets:
        whole = snippet if not snippet.startswith("except") else f"try:\n    ...\n{snippet}"
        compile(whole, "docs/sdk.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_what_programs_import_is_there() -> None:
    assert sorted(saferoom_client.__all__) == sorted(public.__all__)
    assert set(saferoom_client.__all__) <= set(dir(saferoom_client))
    for name in saferoom_client.__all__:
        assert getattr(saferoom_client, name) is getattr(public, name)
    with pytest.raises(AttributeError, match="no attribute 'Rom'"):
        getattr(saferoom_client, "Rom")  # noqa: B009 - what a typing mistake does
