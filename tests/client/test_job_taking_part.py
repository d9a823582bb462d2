"""A label side goes through a job over a real connection, whatever breaks off between.

The other end is the enclave's two machines behind a small server (`jobroom`): not the room's, which
flow tests have, but one that can be told to fail at a given message.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import grpc
import numpy as np
import pytest

from saferoom_client.channel import MAX_REQUEST_BYTES
from saferoom_client.jobs import take_part
from saferoom_client.profile import Profile
from saferoom_client.refused import Refused
from saferoom_client.session import Session
from saferoom_client.training import taking_part
from saferoom_client.training.folder import FITS, REQUEST, find_job, kept_jobs
from saferoom_client.training.machines import take_up
from saferoom_client.training.progress import Stage
from saferoom_client.training.table import TrainingTable
from saferoom_models.participant import Participant
from saferoom_models.refusals import JointTrainingError, Refusal
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.uscc import make_uscc
from saferoom_proto.v1 import job_pb2_grpc
from tests.client.jobroom import COMMON, ROWS, Enclave, Faults, Played, make_folder


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def played(tmp_path: Path, faults: Faults) -> AsyncIterator[Played]:
    draw = np.random.default_rng(4)
    own = draw.normal(size=(ROWS, 2))
    labels = tuple((draw.random(ROWS) < 1 / (1 + np.exp(0.8 - own[:, 0]))).astype(int).tolist())
    table = TrainingTable(
        tuple(make_uscc(at) for at in range(1, ROWS + 1)),
        labels,
        {"income": array("d", own[:, 0]), "debt": array("d", own[:, 1])},
    )
    folder, commitment = make_folder(tmp_path, table)
    enclave = Enclave(folder.job, folder.request, commitment, faults)  # pyright: ignore[reportAbstractUsage]
    limits = [("grpc.max_receive_message_length", MAX_REQUEST_BYTES)]
    server = grpc.aio.server(options=limits)
    job_pb2_grpc.add_JobServiceServicer_to_server(enclave, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    limits = [("grpc.max_send_message_length", MAX_REQUEST_BYTES)]
    async with grpc.aio.insecure_channel(f"localhost:{port}", options=limits) as channel:
        yield Played(folder, table, enclave, job_pb2_grpc.JobServiceStub(channel))
    await server.stop(None)


async def test_a_job_is_gone_through_and_its_progress_told(played: Played) -> None:
    await played.run()
    assert played.enclave.over()
    assert played.enclave.longest > MAX_REQUEST_BYTES, "a message of several pieces went through"
    assert {each.stage for each in played.told} == {Stage.ALIGNING, Stage.TRAINING}
    last = played.told[-1]
    assert (last.rows, last.rounds) == (COMMON, 25)
    assert last.share == 1
    assert last.separation is not None
    assert last.separation > 0.05
    assert last.sent > 1_000_000
    assert any(each.seconds_left for each in played.told)


async def test_what_breaks_off_at_any_message_is_sent_again(played: Played, faults: Faults) -> None:
    faults.cut_before |= {0, 3, 6}
    faults.cut_after |= {1, 2, 7}
    faults.spoilt |= {0, 4, 5}
    await played.run()
    assert played.enclave.over()
    assert not faults.cut_before | faults.cut_after | faults.spoilt, "each went wrong once"


async def test_a_killed_label_side_takes_up_and_ends_with_the_same_model(played: Played) -> None:
    answers = 0

    async def killed() -> None:
        nonlocal answers
        task = asyncio.create_task(played.run())
        wanted = answers + 2
        while played.enclave.next < wanted and not task.done():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.005)
        answers = played.enclave.next
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(4):
        await killed()
    await played.run()
    model = take_up(played.folder, played.table, 2, None)
    assert model.over
    assert played.enclave.over()
    assert played.enclave.side is not None
    assert model.trained().rounds == played.enclave.side.trained().rounds


async def test_whoever_lacks_the_last_answer_or_the_last_word_gets_it(played: Played) -> None:
    await played.run()
    assert take_up(played.folder, played.table, 2, None).over
    await played.run()  # has the last answer, and lacks the word
    last = played.told[-1]
    assert (last.stage, last.share) == (Stage.TRAINING, 1)


async def test_a_last_answer_that_was_lost_comes_again(played: Played) -> None:
    states: list[bytes] = []
    keep = played.folder.keep_state

    def keeping(state: bytes) -> None:
        states.append(state)
        keep(state)

    played.folder.keep_state = keeping
    await played.run()
    keep(states[-2])
    assert not take_up(played.folder, played.table, 2, None).over
    await played.run()
    assert take_up(played.folder, played.table, 2, None).over


async def test_a_job_that_ended_meanwhile_is_not_asked_on(played: Played, faults: Faults) -> None:
    faults.ended_at = 4
    recorded = await played.run()
    assert recorded.statement.digest
    assert not take_up(played.folder, played.table, 2, None).over


async def test_an_enclave_that_was_put_back_is_refused(played: Played, faults: Faults) -> None:
    faults.ended_at = 5
    await played.run()
    faults.ended_at, faults.behind = None, 2
    with pytest.raises(SafeRoomError) as refused:
        await played.run()
    assert refused.value.reason is Reason.CONFLICT
    assert "job cancel" in refused.value.__notes__[0]


async def test_an_answer_longer_than_any_can_be_is_not_read_on(
    played: Played, faults: Faults
) -> None:
    faults.oversized = True
    with pytest.raises(SafeRoomError) as refused:
        await played.run()
    assert refused.value.reason is Reason.TOO_LARGE


async def test_common_rows_that_cannot_be_trained_on_name_the_command_that_ends_the_job(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(participant: Participant, message: bytes) -> bytes | None:
        raise JointTrainingError(Refusal.FEW_EVENTS, f"{participant.number}: {len(message)}")

    monkeypatch.setattr(Participant, "answer", few)
    with pytest.raises(SafeRoomError) as refused:
        await played.run()
    assert refused.value.reason is Reason.MALFORMED
    (step,) = refused.value.__notes__
    assert step.startswith(f"saferoom job cancel {played.folder.job} --why ")


async def test_pieces_that_hold_nothing_are_not_read_on(played: Played, faults: Faults) -> None:
    faults.empty = True
    async with asyncio.timeout(30):
        with pytest.raises(SafeRoomError) as refused:
            await played.run()
    assert refused.value.reason is Reason.MALFORMED


async def test_a_room_that_is_gone_for_long_ends_it_with_the_command_that_goes_on(
    played: Played, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking_part, "PATIENCE_SECONDS", 0)
    faults.cut_before = {0}
    with pytest.raises(Refused) as refused:
        await played.run()
    assert refused.value.reason is Reason.UNAVAILABLE
    assert refused.value.__notes__ == [f"saferoom job resume {played.folder.job}"]


async def test_a_kept_state_holds_no_row_and_opens_only_with_the_members_key(
    played: Played,
) -> None:
    path = played.folder.folder / "state.sealed"
    sealed = path.read_bytes()
    assert played.table.subjects[0].encode() not in sealed
    assert path.stat().st_mode & 0o077 == 0
    state = played.folder.state()
    assert state not in sealed
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(SafeRoomError) as refused:
        played.folder.state()
    assert refused.value.reason is Reason.BAD_CONFIG
    member = SimpleNamespace(folder=path.parents[2], signing_key=SigningKey.generate())
    other = cast("Profile", member)
    path.write_bytes(sealed)
    with pytest.raises(SafeRoomError):
        find_job(other, played.folder.job).state()


async def test_a_job_that_is_not_known_names_the_jobs_and_the_trainings_of_the_folder(
    played: Played,
) -> None:
    profile = played.folder.profile
    trainings = profile.folder / FITS
    for name in ("0123456789abcdef", "fedcba9876543210"):
        (trainings / name).mkdir(parents=True)
    (trainings / "0123456789abcdef" / REQUEST).touch()  # of the other no request was kept
    with pytest.raises(SafeRoomError) as unknown:
        find_job(profile, "ffff")
    assert unknown.value.reason is Reason.UNKNOWN_STATEMENT
    own = played.folder.folder.name
    assert unknown.value.fields[0].rule.endswith(f"; it has: {own}, 0123456789abcdef")
    assert unknown.value.__notes__ == ["saferoom job list -p x"]


async def test_one_process_at_a_time_takes_part(played: Played) -> None:
    session = cast("Session", SimpleNamespace(profile=played.folder.profile))
    with played.folder.alone():
        with pytest.raises(SafeRoomError) as refused:
            await take_part(session, played.folder.job)
        assert refused.value.__notes__ == [f"saferoom job watch {played.folder.job}"]
    assert refused.value.reason is Reason.CONFLICT
    with played.folder.alone():
        pass


async def test_other_rows_are_refused_with_the_option_that_gives_the_right_ones(
    played: Played, tmp_path: Path
) -> None:
    session = cast("Session", SimpleNamespace(profile=played.folder.profile))
    path = tmp_path / "other.csv"
    rows = "".join(
        f"{subject},{at % 2},{at},{at}\n" for at, subject in enumerate(played.table.subjects)
    )
    path.write_text("uscc,bad,income,debt\n" + rows, "utf-8")
    with pytest.raises(SafeRoomError) as refused:
        await take_part(session, played.folder.job, file=path)
    assert refused.value.reason is Reason.CONFLICT
    assert refused.value.fields[0].rule.endswith("with --rows")


async def test_a_request_that_the_room_refuses_leaves_no_folder(played: Played) -> None:
    folder = played.folder
    folder.admit(folder.envelope, 2, played.enclave.secret)
    folder.discard()
    assert kept_jobs(folder.profile) == []
    assert not folder.folder.exists()
