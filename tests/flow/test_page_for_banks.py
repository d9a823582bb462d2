"""docs/banks.md is typed as it stands, and its tables are those of the code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from saferoom_client.advice import ADVICE
from saferoom_client.sandbox.codes import table
from saferoom_client.sandbox.leftovers import end_leftovers
from saferoom_proto.quota import LIMIT, PUSHBACK, REMAINING, RETRY_AFTER
from tests.flow.pages import DOCS, Hand, read_page, typing_in

PAGE = "banks.md"
OPEN_SECONDS = 180.0
COMMANDS = (
    *("sandbox", "whoami", "template list", "cost", "check", "check --again"),
    *("receipt verify", "receipt export"),
)


@pytest.fixture
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Give an empty folder to type in, with `saferoom` and `python` at hand."""
    folder = tmp_path_factory.mktemp("bank")
    with typing_in(folder) as typing:
        python = typing.commands / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -W error "$@"\n')
        python.chmod(0o700)
        yield typing
        typing.processes.stop()
        end_leftovers(typing.folder / "sandbox")


def test_the_page_works_as_it_stands(hand: Hand) -> None:
    blocks = read_page(PAGE)
    assert any(block.stays for block in blocks), "the page opens no sandbox"
    for block in blocks:
        hand.do(block)
        if block.stays:
            codes = hand.folder / "sandbox" / "codes.json"
            hand.processes.wait_for(codes.exists, "the sandbox is not open", OPEN_SECONDS)


def test_the_page_shows_every_command_of_a_bank() -> None:
    typed = "".join(block.text for block in read_page(PAGE) if block.kind == "sh")
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []


@pytest.mark.parametrize(
    "lines",
    [
        [f"| `{reason}` | {each.again} | {each.step} |" for reason, each in ADVICE.items()],
        table(),
    ],
    ids=["advice", "codes"],
)
def test_the_page_s_tables_are_those_of_the_code(lines: list[str]) -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    assert "\n".join(lines) in text, "\n".join(lines)


def test_the_page_names_every_header() -> None:
    text = (DOCS / PAGE).read_text("utf-8")
    assert [
        name for name in (LIMIT, REMAINING, RETRY_AFTER, PUSHBACK) if f"`{name}`" not in text
    ] == []


def test_the_page_s_programs_are_named_where_they_are_run() -> None:
    page = read_page(PAGE)
    files = {block.file for block in page if block.file is not None}
    typed = "".join(block.text for block in page if block.kind == "sh")
    assert {name for name in files if f"python {name}" in typed} == files
    assert Path(DOCS / PAGE).exists()
