"""A real room whose owner's charter asks for a witness: real server, enclave and witness."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from saferoom_client.cli.witness import CAUGHT
from saferoom_client.files import read_model
from saferoom_client.profile import RoomCard
from saferoom_client.receipt_witness import vouching
from saferoom_client.refused import Refused
from saferoom_client.values import CheckAnswer
from saferoom_client.witness.folder import PROFILE, Witness
from saferoom_proto.answer import Truth
from saferoom_proto.cosignature import Algorithm
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import Charter
from saferoom_proto.statements.witnesses import WitnessPolicy
from tests.attacks.smallroom import SmallRoom
from tests.flow.offers import STEADY

AGE_SECONDS = 20
"""Little, as the test waits for it to pass; enough for a witness on a slow machine."""


class WitnessedRoom(SmallRoom):
    """A room whose tax office asks for the auditor's witness."""

    answer: CheckAnswer
    """The newest one."""

    @cached_property
    def witness(self) -> Witness:
        """The auditor's witness, made when the charter is."""
        card = read_model(self.room / "room-card.json", RoomCard)
        folder = self.folder / "witness"
        made = Witness.create(folder, "auditor.example/w", Algorithm.ML_DSA_44, card)
        self.enrol("auditor", "witness", folder / PROFILE)
        return made

    @property
    def policy(self) -> WitnessPolicy:
        """What the charter asks for."""
        key = self.witness.cosigner.key.text
        return WitnessPolicy(threshold=1, witnesses=(key,), max_age_seconds=AGE_SECONDS)

    def charter(self, owner: str, **changes: object) -> Charter:
        """Make the owner's charter, with its witness."""
        return super().charter(owner, **({"witnesses": self.policy} | changes))

    def watch(self) -> None:
        """Start the witness."""
        folder = str(self.witness.folder)
        words = ("witness", "run", folder, "--every", "2")
        self.processes.spawn("witness", "-m", "saferoom_client", *words)

    def reason(self) -> Reason | None:
        """Ask about a steady payer; tell why it is not answered, or None and keep the answer."""
        try:
            with self.open("bank-a", "desk") as room:
                self.answer = room.check(
                    "paid-enough", subject=STEADY, purpose="pre-loan", params={"least": "5000"}
                )
        except Refused as refused:
            return refused.reason
        return None

    def seen_entries(self) -> bool:
        """Say whether the witness cosigned a log that had entries."""
        seen = self.witness.seen_checkpoint
        return seen is not None and seen.size > 0

    def until(self, wanted: Reason | None) -> None:
        """Wait until a question comes to that."""
        self.processes.wait_for(lambda: self.reason() is wanted, f"never: {wanted}", 90.0)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WitnessedRoom]:
    room = WitnessedRoom(tmp_path, owners=("tax",))
    try:
        room.start()
        room.say(STEADY)
        yield room
    finally:
        room.processes.stop()
        shutil.rmtree(room.scratch, ignore_errors=True)


@pytest.mark.soak
def test_it_answers_while_its_witness_watches_and_at_no_other_time(room: WitnessedRoom) -> None:
    assert room.reason() is Reason.NOT_WITNESSED
    room.watch()
    room.until(None)
    assert room.answer.truth is Truth.YES
    # Its receipt is proven under the witness's word, for who relies on it.
    patient = room.policy.model_copy(update={"max_age_seconds": 3600})
    with room.open("auditor", "desk") as desk:
        desk.profile.rely_on(patient)
    with room.open("auditor", "desk") as desk:
        renewed = desk.witness_receipt(room.answer.receipt)
        (head,) = vouching(renewed, desk.profile.trust, patient)
        assert head.enough
    room.processes.kill("witness")
    room.until(Reason.NOT_WITNESSED)
    room.watch()
    room.until(None)


def test_a_server_whose_log_was_put_back_is_caught_by_the_witness_at_its_next_look(
    room: WitnessedRoom,
) -> None:
    room.watch()
    room.until(None)
    # The first look may be at a log that was empty when its round began, which anything extends.
    room.processes.wait_for(room.seen_entries, "the witness saw no entry")
    room.processes.kill("witness")
    room.processes.kill("server")
    # The operator begins the log anew, under the same key.
    (room.room / "state.db").unlink()
    for beside in (*room.room.glob("state.db-*"), *room.room.glob("state.db.*")):
        beside.unlink()
    (room.room / "cosigned.json").unlink()
    room.start_server()
    room.processes.wait_for(room.answers, "the server answers no call")
    room.enrol_organisations()
    room.watch()
    assert room.processes.running["witness"].wait(timeout=90) == CAUGHT
    assert room.witness.evidence()[0].name.startswith("truncated")
    assert "truncated" in room.processes.log("witness")
