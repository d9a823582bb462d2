"""The ledger key is changed in a room at work: no question is lost, and receipts stay valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom.room import CARD_FILE
from saferoom_client.files import read_model
from saferoom_client.profile import Profile, RoomCard
from saferoom_client.refused import Refused
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import RoomKeys, seal_statement
from tests.attacks.smallroom import SmallRoom, small_room
from tests.flow.live import succeeds
from tests.flow.offers import APPROVERS, LISTED, STEADY
from tests.flow.test_rotation import Asking, answer, run


def receipt(live: SmallRoom) -> Receipt:
    """Ask, and keep the receipt."""
    with live.open("bank-a", "desk") as room:
        params = {"least": "5000"}
        asked = room.check("paid-enough", subject=STEADY, purpose="pre-loan", params=params)
        return asked.receipt


def follows(member: Path, use: str = "ledger") -> bool:
    """Have a member follow; tells whether there was a key to follow to."""
    return f"{use} key is" in run("room", "follow", profile=member).stdout


def charter_names_both_keys_of(live: SmallRoom, card: RoomCard) -> None:
    """The owner's next charter names the room's keys; its approvers approve under it."""
    first = seal_statement(live.charter("tax"), live.roots["tax"])
    keys = RoomKeys(ledger=card.ledger_key, heads=card.heads_key)
    charter = live.charter("tax", version=2, previous=first.digest, room_keys=keys)
    with live.open("tax", APPROVERS[0]) as room:
        room.put_charter(seal_statement(charter, live.roots["tax"]))
    live.processes.wait_for(live.serving, "the enclave does not serve", 90)
    with live.open("bank-a", "desk") as room:
        (template,) = [each.digest for each in room.list_templates()]
    live.approve(template)
    live.processes.wait_for(lambda: succeeds(lambda: answer(live)), "no answer", 60)


def judges(live: SmallRoom) -> bool:
    """Have the auditor check a log that has grown; tells whether it holds under its keys."""
    answer(live)
    return run("audit", "verify", profile=live.member("auditor", "desk")).returncode == 0


@pytest.mark.soak
def test_the_logs_key_is_changed_while_banks_ask(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        before, bank = receipt(live), live.member("bank-a", "desk")
        pinned = Profile.load(bank).trust
        # Both sign, also over a kill at any moment; nobody who asks notices.
        assert run("room", "rotate-key", str(live.room), "ledger").returncode == 0
        live.processes.kill("server")
        live.start_server()
        live.processes.wait_for(live.answers, "the server does not answer")
        live.processes.wait_for(live.serving, "the enclave does not serve", 90)
        asking = Asking(live)
        approver = live.member("tax", APPROVERS[0])
        live.processes.wait_for(lambda: follows(approver), "nothing to follow", 60)
        live.processes.wait_for(lambda: asking.answers > 3, "nobody is answered")
        asking.stop()
        assert asking.refused == []
        assert "CONFLICT" in run("room", "rotate-key", str(live.room), "ledger", "--finish").stderr
        card = Profile.load(approver).card
        charter_names_both_keys_of(live, card)
        during = receipt(live)
        # The former key is gone; a bank that was away all the while is told what to do.
        assert run("room", "rotate-key", str(live.room), "ledger", "--finish").returncode == 0
        assert read_model(live.room / CARD_FILE, RoomCard).ledger_key == card.ledger_key
        live.processes.wait_for(lambda: follows(bank), "nothing to follow", 60)
        live.processes.wait_for(lambda: succeeds(lambda: answer(live)), "no answer", 60)
        after, trust = receipt(live), Profile.load(bank).trust
        for each in (before, during, after):
            assert verify_receipt(each, trust).answer is Truth.YES
        # Whoever pinned the former key reads what it signed, and nothing that it did not.
        for each in (before, during):
            verify_receipt(each, pinned)
        # Until the server has seen the end in its folder, and has a new head to sign, both sign.
        live.processes.wait_for(lambda: not judges(live), "the former key still signs", 60)
        assert run("room", "follow", profile=live.member("auditor", "desk")).returncode == 0
        judged = run("audit", "verify", profile=live.member("auditor", "desk"))
        assert judged.returncode == 0, judged.stdout + judged.stderr
        # The key agent goes over by itself: its enclave would get no key any more.
        live.processes.wait_for(lambda: "followed: " in live.processes.log("agent tax"), "it stays")
        assert follows(live.member("operator", "desk"))
        live.processes.kill("server")
        live.start_server()
        live.processes.wait_for(live.answers, "the server does not answer")
        live.processes.wait_for(live.serving, "the enclave does not serve", 90)


@pytest.mark.soak
def test_the_key_of_heads_is_changed_while_banks_ask(tmp_path: Path) -> None:
    with small_room(tmp_path) as live:
        live.say(STEADY)
        former = read_model(live.room / CARD_FILE, RoomCard).heads_key
        assert run("room", "rotate-key", str(live.room), "heads").returncode == 0
        live.processes.kill("server")
        live.start_server()
        live.processes.wait_for(live.answers, "the server does not answer")
        live.processes.wait_for(live.serving, "the enclave does not serve", 90)
        asking = Asking(live)
        approver, bank = live.member("tax", APPROVERS[0]), live.member("bank-a", "desk")
        live.processes.wait_for(lambda: follows(approver, "heads"), "nothing to follow", 60)
        live.processes.wait_for(lambda: asking.answers > 3, "nobody is answered")
        asking.stop()
        assert asking.refused == []
        # An enclave that pins the former key hears no head by the other one.
        assert "CONFLICT" in run("room", "rotate-key", str(live.room), "heads", "--finish").stderr
        charter_names_both_keys_of(live, Profile.load(approver).card)
        assert run("room", "rotate-key", str(live.room), "heads", "--finish").returncode == 0
        assert read_model(live.room / CARD_FILE, RoomCard).heads_key != former
        live.processes.wait_for(lambda: follows(bank, "heads"), "nothing to follow", 60)
        live.processes.kill("server")
        live.start_server()
        live.processes.wait_for(lambda: succeeds(lambda: answer(live)), "no answer", 90)
        # The room signs what itself refuses by the new key, and who followed reads it.
        with live.open("bank-a", "desk") as room, pytest.raises(Refused) as refused:
            room.check("paid-enough", subject=LISTED, purpose="pre-loan", params={"least": "5000"})
        assert refused.value.reason is Reason.NO_CONSENT
        assert run("audit", "verify", profile=live.member("auditor", "desk")).returncode == 0
