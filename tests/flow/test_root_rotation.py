"""An owner's charter root is handed over in a room at work: no question is refused for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom.room import CARD_FILE
from saferoom_client.files import write_file
from saferoom_client.profile import Profile
from saferoom_proto.answer import Truth
from saferoom_proto.keys import SigningKey
from saferoom_proto.receipt import verify_receipt
from saferoom_proto.statements import seal_statement
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.live import succeeds
from tests.flow.offers import APPROVERS, STEADY
from tests.flow.test_room_key_rotation import receipt
from tests.flow.test_rotation import Asking, answer, run


def handed_over(live: SmallRoom, folder: Path) -> Path:
    """Have both roots sign, as an owner does; gives the file."""
    member, card = live.member("tax", APPROVERS[0]), str(live.room / CARD_FILE)
    write_file(folder / "root.key", live.roots["tax"].to_pem())
    made = run("charter", "root", str(folder / "next.key"))
    draft, signed = folder / "over.yaml", [folder / "over-1.json", folder / "over-2.json"]
    to = made.stdout.strip()
    written = run("charter", "hand-over", "tax", "--to", to, "--out", str(draft), profile=member)
    assert written.returncode == 0, written.stderr
    for source, key, out in ((draft, "root.key", signed[0]), (signed[0], "next.key", signed[1])):
        by = ["--root", str(folder / key), "--room", card, "--out", str(out)]
        done = run("charter", "sign-over", str(source), *by)
        assert done.returncode == 0, done.stderr
    return signed[1]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_charter_root_is_handed_over_while_banks_ask(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        before = receipt(live)
        bank, auditor = live.member("bank-a", "desk"), live.member("auditor", "desk")
        pinned = Profile.load(bank).trust
        approver = live.member("tax", APPROVERS[0])
        asking = Asking(live)
        file = handed_over(live, tmp_path)
        assert run("agent", "follow", str(live.agents["tax"].folder), str(file)).returncode == 0
        put = run("charter", "put", str(file), profile=approver)
        assert put.returncode == 0, put.stderr
        for member in (bank, auditor):
            followed = run("trust", "follow", "tax", profile=member)
            assert followed.returncode == 0, followed.stderr
        asked = asking.answers
        live.processes.wait_for(lambda: asking.answers > asked + 3, "nobody is answered", 60)
        asking.stop()
        assert asking.refused == []
        # Killed and started anew, room, agent and enclave go by what was handed over.
        live.processes.stop()
        live.start_server()
        live.start_agent("tax")
        live.processes.wait_for(live.answers, "the server does not answer")
        live.processes.wait_for(live.serving, "the enclave does not serve", 240)
        live.processes.wait_for(lambda: succeeds(lambda: answer(live)), "no answer", 240)
        between = receipt(live)
        # The next charter is the new root's; one of the former root is refused.
        first = seal_statement(live.charter("tax"), live.roots["tax"])
        following = SigningKey.from_pem((tmp_path / "next.key").read_bytes())
        for root in (live.roots["tax"], following):
            named = {"version": 2, "previous": first.digest, "root": root.verify_key.public}
            next_charter = seal_statement(live.charter("tax", **named), root)
            (tmp_path / "charter-2.json").write_bytes(next_charter.to_json())
            told = run("charter", "put", str(tmp_path / "charter-2.json"), profile=approver)
            assert (told.returncode == 0) is (root is following), told.stdout + told.stderr
        live.processes.wait_for(live.serving, "the enclave does not serve", 240)
        with live.open("bank-a", "desk") as room:
            (template,) = [each.digest for each in room.list_templates()]
        # Another approver pinned the former root, and follows like everybody else.
        for name in APPROVERS[1:]:
            assert run("trust", "follow", "tax", profile=live.member("tax", name)).returncode == 0
        live.approve(template)
        live.processes.wait_for(lambda: succeeds(lambda: answer(live)), "no answer", 240)
        after, trust = receipt(live), Profile.load(bank).trust
        for each in (before, between, after):
            # Who pinned the former root, and never followed, reads them all offline.
            assert verify_receipt(each, trust).answer is Truth.YES
            assert verify_receipt(each, pinned).answer is Truth.YES
        judged = run("audit", "verify", profile=auditor)
        assert judged.returncode == 0, judged.stdout + judged.stderr
