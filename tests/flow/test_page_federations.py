"""docs/federated-training.md, "Through a room", is typed as it stands by three banks of a room."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from saferoom_client.values import Organisation, Role
from saferoom_proto.statements import seal_statement
from tests.flow.federating import write_rows
from tests.flow.live import LiveRoom
from tests.flow.offers import APPROVERS, title
from tests.flow.pages import DOCS, blocks, typing_in

PAGE: Final = "federated-training.md"
BANKS: Final = ("bank-a", "bank-b", "bank-c")
COMMANDS: Final = ("propose", "show", "join", "run", "list", "score")


def test_the_page_s_room_works_as_it_stands(tmp_path: Path) -> None:
    _, _, part = (DOCS / PAGE).read_text("utf-8").partition("\n## Through a room\n")
    page = blocks(part.partition("\n## ")[0])
    typed = "".join(each.text for each in page)
    assert [each for each in COMMANDS if f"saferoom federation {each}" not in typed] == []
    live = LiveRoom(tmp_path / "live", owners=("tax",))
    live.make()
    heading = "[enclaves.run_by]\n"  # of the owner only its charter is needed
    config = live.room / "room.toml"
    config.write_text(config.read_text().replace(heading, heading + 'tax = "owner"\n'))
    try:
        live.start_server()
        live.processes.wait_for(live.answers, "the server answers no call")
        roles = {"tax": Role.OWNER} | dict.fromkeys(BANKS, Role.INSTITUTION)
        with live.open("operator", "desk") as room:
            for name, role in roles.items():
                room.enrol_organisation(Organisation(name, title(name), frozenset({role})))
        with live.open("tax", APPROVERS[0]) as room:
            room.put_charter(seal_statement(live.charter("tax"), live.roots["tax"]))
        with typing_in(tmp_path) as hand:
            for number, bank in enumerate(BANKS, start=1):
                live.enrol(bank, "desk", hand.folder / bank)
                write_rows(hand.folder / f"{bank}.csv", number)
            for block in page:
                hand.do(block)
            models = {
                path.read_text() for path in hand.folder.glob("bank-?/federations/*/model.json")
            }
        assert len(models) == 1, "the same at every bank that has it by now"
    finally:
        live.processes.stop()
