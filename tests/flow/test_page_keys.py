"""docs/keys.md is typed as it stands, on the room that docs/by-hand.md makes by its section 5."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.flow.pages import ADDRESS, DOCS, Hand, blocks, typing_in
from tests.flow.processes import free_port

COMMANDS: Final = (
    "agent rotate",
    "agent retire",
    "audit verify",
    "charter show",
    "charter put",
    "charter hand-over",
    "charter sign-over",
    "agent follow",
    "trust follow",
    "room rotate-key",
    "room follow",
    "room renew-tls",
    "issuer renew",
)
LOADED: Final = "saferoom data load vat=vat.csv"


@pytest.fixture
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with typing_in(tmp_path_factory.mktemp("hand")) as made:
        yield made


@pytest.mark.soak
@pytest.mark.timeout(450)
def test_the_page_works_as_it_stands(hand: Hand) -> None:
    begun = (DOCS / "by-hand.md").read_text("utf-8").replace(ADDRESS, f"localhost:{free_port()}")
    for block in blocks(begun):
        hand.do(block)
        if block.text.startswith(LOADED):
            break
    page = [one for one in blocks((DOCS / "keys.md").read_text("utf-8")) if one.kind == "sh"]
    for block in page:
        hand.do(block)
    typed = "".join(block.text for block in page)
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []
