"""docs/ledger.md is typed as it stands, in a room that is running: a witness watches it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.live import LiveRoom
from tests.flow.pages import Hand, read_page, typing_in

PAGE = "ledger.md"
COMMANDS = ("witness init", "witness run", "witness show", "trust witness", "receipt witness")


@pytest.fixture
def hand(live: LiveRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Give a folder with the page's members, the issuer and the room's card."""
    places = {
        "auditor": live.member("auditor", "desk"),
        "bank": live.member("bank-a", "desk"),
        "registry": live.folder / "issuer",
        "room-card.json": live.room / "room-card.json",
    }
    with typing_in(tmp_path_factory.mktemp("ledger")) as hand:
        for name, place in places.items():
            (hand.folder / name).symlink_to(place.resolve())
        yield hand


def test_the_page_holds_every_command_about_witnesses() -> None:
    typed = "".join(one.text for one in read_page(PAGE))
    assert [each for each in COMMANDS if f"saferoom {each}" not in typed] == []


def test_the_page_works_as_it_stands(live: LiveRoom, hand: Hand) -> None:
    try:
        for block in read_page(PAGE):
            hand.do(block)
        shown = hand.folder / "witness" / "witness.prom"
        assert "saferoom_witness_misdeeds" in shown.read_text("utf-8")
    finally:
        # Other tests use the same auditor, and no witness watches for them.
        (live.member("auditor", "desk") / "witnesses.json").unlink(missing_ok=True)
