"""docs/operators.md is typed as it stands, block by block, into a folder with a real room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.flow.pages import ADDRESS, DOCS, Hand, blocks, read_page, typing_in
from tests.flow.processes import free_port

PAGE: Final = "operators.md"
METRICS: Final = "127.0.0.1:9464"

COMMANDS: Final = (
    *("init", "admit", "check", "serve", "units", "status", "backup-key", "backup"),
    *("restore", "confirm", "audit"),
)


@pytest.fixture
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with typing_in(tmp_path_factory.mktemp("operator")) as hand:
        yield hand


def test_the_page_holds_every_command_of_an_operator() -> None:
    typed = "".join(one.text for one in read_page(PAGE) if one.kind == "sh")
    assert [each for each in COMMANDS if f"saferoom room {each} " not in typed] == []
    for each in ("enrol", "list", "revoke", "people"):
        assert f"saferoom org {each} " in typed


def test_the_page_works_as_it_stands(hand: Hand) -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    assert text.count(ADDRESS) == 1
    text = text.replace(ADDRESS, f"localhost:{free_port()}")
    # The address stands in the file that init writes as well: there it is looked for as it is.
    port = free_port()
    text = text.replace(f'/address = "{METRICS}"/', f'/address = "127.0.0.1:{port}"/')
    text = text.replace(f"http://{METRICS}/", f"http://127.0.0.1:{port}/")
    for block in blocks(text):
        hand.do(block)
    assert hand.processes.log("room serve").count('"room open"') == 1
