"""A server that is killed while a batch runs: the batch goes on, and is charged once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from saferoom_client import Refused, Truth
from saferoom_client.batch import Batch
from saferoom_client.batch_answer import BatchAnswer
from saferoom_proto.batch import CHUNK_ROWS
from saferoom_proto.reasons import Reason
from saferoom_proto.uscc import make_uscc
from tests.flow.live import LiveRoom
from tests.flow.offers import POOR, STEADY

LEAST = {"least": "5000"}
ROWS = [
    STEADY,
    *(make_uscc(42_000_000 + at) for at in range(20 * CHUNK_ROWS)),
    POOR,
]


@pytest.mark.soak
def test_a_batch_outlives_its_server(tmp_path: Path) -> None:
    live = LiveRoom(tmp_path, owners=("court", "tax"))
    try:
        live.start()
        live.equip()
        with live.open("bank-a", "desk") as room:
            batch = room.prepare_many("steady-payer", ROWS, purpose="pre-loan", params=LEAST)
        killed_in_mid_batch(live, batch)
        live.processes.wait_for(live.answers, "the server answers no call", seconds=120)
        live.processes.wait_for(live.serving, "an enclave is not serving", seconds=120)
        first, again = asked(live, batch), asked(live, batch)
        assert again.receipt == first.receipt
        told = list(first)
        assert (told[0].truth, told[-1].truth) == (Truth.YES, Truth.NO)
        assert {row.reason for row in told[1:-1]} == {Reason.NO_CONSENT}
        with live.open("bank-a", "desk") as room:
            answer = room.check("steady-payer", subject=STEADY, purpose="pre-loan", params=LEAST)
            assert answer.bits == 0
            room.verify_log()
    finally:
        live.processes.stop()


def killed_in_mid_batch(live: LiveRoom, batch: Batch) -> None:
    """Kill the server once the first chunk is judged, and start it again."""
    begun = threading.Event()

    def ask() -> None:
        with live.open("bank-a", "desk") as room, pytest.raises(Refused):
            room.ask_many(batch, progress=lambda _done, _whole: begun.set())

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(60)
    live.processes.kill("server")
    asking.join()
    live.start_server()


def asked(live: LiveRoom, batch: Batch) -> BatchAnswer:
    with live.open("bank-a", "desk") as room:
        return room.ask_many(batch)
