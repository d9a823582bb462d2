"""docs/enclave.md is typed as it stands, on a room that docs/by-hand.md has begun."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.pages import ADDRESS, DOCS, Hand, blocks, typing_in
from tests.flow.processes import free_port

COMMANDS = (
    *("enclave init", "enclave run", "enclave recover", "enclave evidence", "enclave units"),
    *("agent require", "relay run", "relay units", "room status"),
)


@pytest.fixture
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with typing_in(tmp_path_factory.mktemp("hand")) as made:
        yield made


def test_the_page_works_as_it_stands(hand: Hand) -> None:
    begun = (DOCS / "by-hand.md").read_text("utf-8").replace(ADDRESS, f"localhost:{free_port()}")
    for block in blocks(begun):
        if block.stays:
            break
        hand.do(block)
    page = [one for one in blocks((DOCS / "enclave.md").read_text("utf-8")) if one.kind == "sh"]
    for block in page:
        hand.do(block)
    typed = "".join(block.text for block in page)
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []
