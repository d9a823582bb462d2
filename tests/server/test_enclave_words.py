"""What an enclave said stands in the log, with its proof, whoever waited for it or did not."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

from saferoom_proto.reasons import Reason
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.statements import Release, load
from saferoom_proto.v1 import check_pb2
from saferoom_proto.wire import recorded_from_proto
from simulator import sample
from tests.server.conftest import Ready, make_ready
from tests.server.room.opened import SECONDS, opened, until
from tests.server.test_enclave_link import end_process


async def test_what_an_enclave_said_before_it_died_is_recorded_when_it_returns(
    ready: Ready,
) -> None:
    room = ready.room
    room.behave("tax", exit_in_judge=True)
    question = ready.question()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await room.ask("bank-a", question)
    assert from_rpc_error(caught.value).reason is Reason.UNAVAILABLE

    async def recorded() -> bool:
        return "recorded late" in room.log.getvalue()

    await until(recorded)
    await room.until_state("tax", "serving")
    before = room.server.books.ledger.tip().size
    answer = await room.ask("bank-a", question)
    assert room.server.books.ledger.tip().size == before
    (part,) = answer.parts
    assert load(recorded_from_proto(part.release).statement, Release).request == question.digest
    asked = check_pb2.GetCheckRequest(request_id=question.digest)
    told = await room.calls("bank-a").check.GetCheck(asked, timeout=SECONDS)
    assert list(told.parts) == list(answer.parts)
    await end_process(room, "tax")
    assert await room.ask("bank-a", question) == answer


async def test_proofs_of_what_it_said_reach_the_enclave(ready: Ready) -> None:
    room = ready.room
    for _ in range(5):
        await room.ask("bank-a", ready.question())
    kept = room.folder / "enclaves" / "tax" / "kept.json"

    async def all_proven() -> bool:
        return len(json.loads(kept.read_text())["proven"]) == 5

    await until(all_proven)
    said = json.loads(kept.read_text())
    assert len(said["entries"]) == 5
    assert sorted(said["proven"]) == [0, 1, 2, 3, 4]


async def test_a_word_that_nobody_waited_for_is_fetched_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left alone, it would stop the enclave for everybody once its proof is overdue."""
    monkeypatch.setattr("saferoom.session.MISSING_SECONDS", 0.3)
    said = sample("swallowed")
    settings = "[heads]\ninterval_seconds = 0.05\n"
    async with opened(tmp_path / "room", said.world, settings) as room:
        ready = await make_ready(room, said)
        room.behave("tax", swallow=True)
        question = ready.question()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await room.ask("bank-a", question)
        assert from_rpc_error(caught.value).reason is Reason.UNAVAILABLE
        kept = room.folder / "enclaves" / "tax" / "kept.json"

        async def proven() -> bool:
            return json.loads(kept.read_text())["proven"] == [0]

        await until(proven)
        room.behave("tax")
        told = await room.ask("bank-a", question)
        assert [part.sealed for part in told.parts] != []
        assert json.loads(kept.read_text())["proven"] == [0]
