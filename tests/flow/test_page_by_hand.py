"""docs/by-hand.md is typed as it stands, block by block, into a folder with a real room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.flow.pages import DOCS, SAYS, Block, Hand, read_page, type_page, typing_in

PAGE: Final = "by-hand.md"

ROLES: Final = (
    *("room init", "room admit", "room serve", "room status", "org enrol"),
    *("issuer init", "issuer enrol"),
    *("charter root", "charter init", "charter put", "agent init", "agent run", "schema put"),
    *("feature add", "data load", "template show", "template approve", "pause", "resume"),
    *("template propose", "agreement propose", "agreement sign"),
    *("check paid-enough", "check --again", "trust pin"),
    *("consent grant", "consent revoke", "receipt verify", "audit verify"),
)


@pytest.fixture
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with typing_in(tmp_path_factory.mktemp("hand")) as hand:
        yield hand


def test_the_page_holds_every_role_s_commands_and_names_its_files() -> None:
    typed = "".join(one.text for one in read_page(PAGE) if one.kind == "sh")
    typed = typed.replace("enrol --", "saferoom issuer enrol --")
    assert [each for each in ROLES if f"saferoom {each}" not in typed] == []


def test_the_page_works_as_it_stands(hand: Hand) -> None:
    type_page(hand, PAGE)
    said = "".join(how + words for how, words in SAYS.findall((DOCS / PAGE).read_text("utf-8")))
    assert all(
        each in said
        for each in ("printsyes", "printsno", "printsnot found", "refusedNO_CONSENT", "verified")
    )


@pytest.mark.parametrize(
    ("text", "status", "output"),
    [
        ("true\n# prints: no\n", 0, "not found"),
        ("true\n# prints: one\n# prints: two\n", 0, "two, one"),
        ("true\n# refused: PAUSED\n", 0, "PAUSED"),
        ("true\n", 1, ""),
    ],
)
def test_a_block_that_does_something_else_is_noticed(text: str, status: int, output: str) -> None:
    with pytest.raises(AssertionError):
        Block(None, "sh", text).check(status, output)
