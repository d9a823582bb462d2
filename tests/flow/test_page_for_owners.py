"""docs/owners.md is typed as it stands, between what others do, as docs/by-hand.md has it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.flow.pages import Block, moved, read_page, sections, typing_in
from tests.flow.processes import free_port

COMMANDS: Final = (
    *("charter root", "charter init", "charter sign", "charter put", "charter show"),
    *("catalogue list", "catalogue show", "catalogue template", "schema draft", "schema put"),
    *("data check", "data load", "data versions", "data rollback"),
    *("feature try", "feature add", "feature show"),
    *("template list", "template show", "template approve", "template refuse"),
    *("agreement show", "agreement sign", "uses", "uses --csv"),
    *("dispute list", "dispute answer", "pause", "resume"),
)


def test_the_page_holds_the_owner_s_commands() -> None:
    typed = "".join(each.text for each in read_page("owners.md") if each.kind == "sh")
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    own, others = sections("owners.md"), sections("by-hand.md")

    def of(section: int, *words: str) -> list[Block]:
        """Give the blocks of a section of the other page that hold some words."""
        found = [each for each in others[section] if any(one in each.text for one in words)]
        assert len(found) == len(words), words
        return found

    steps = [
        *(*others[1], *others[2], *others[3]),
        *(*own[1], *of(4, "trust pin")),
        *(*own[2], *own[3]),
        *of(6, "kind: Check", "template propose"),
        *(*own[4], *of(7, "agreement propose"), *own[5]),
        *(*others[8], *of(9, "--keep question.json")),
        *(*own[6], *own[7], *own[8], *own[9]),
    ]
    port = free_port()
    with typing_in(tmp_path) as hand:
        for block in steps:
            hand.do(moved(block, port))
