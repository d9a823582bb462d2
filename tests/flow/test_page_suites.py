"""docs/suites.md is typed as it stands."""

from __future__ import annotations

from pathlib import Path

from saferoom_client.files import read_model
from saferoom_client.profile import RoomCard
from saferoom_proto.keys import VerifyKey
from saferoom_proto.suite import Suite
from tests.flow.pages import read_page, typing_in


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    with typing_in(tmp_path) as hand:
        for block in read_page("suites.md"):
            hand.do(block)
        card = read_model(hand.folder / "room" / "room-card.json", RoomCard)
        assert VerifyKey.from_public(card.ledger_key).suite is Suite.GUOMI
