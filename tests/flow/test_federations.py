"""Banks train together through a room: proposed, joined, trained, told; and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from saferoom.state.rows import FederationRow
from saferoom_client.aio import AsyncRoom
from saferoom_client.federating.folder import FederationFolder
from saferoom_client.federating.taking_part import FederationProgress
from saferoom_client.federations import FederationTrained
from saferoom_client.refused import Refused
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.flow.federating import BANKS, Banks, banks_in_a_room
from tests.server.room.opened import until

A, B, EAST, WEST = BANKS


@pytest.fixture
async def banks(tmp_path: Path) -> AsyncIterator[Banks]:
    async with banks_in_a_room(tmp_path) as opened:
        yield opened


async def join_all(banks: Banks, federation: str, names: tuple[str, ...]) -> None:
    for name in names:
        await banks.rooms[name].join_federation(federation)


async def train(banks: Banks, federation: str, name: str) -> FederationTrained:
    return await banks.rooms[name].train_federation(federation, banks.rows(name), label="default")


def pooled(banks: Banks, names: tuple[str, ...]) -> LogisticRegression:
    tables = [
        np.genfromtxt(banks.rows(name), delimiter=",", skip_header=1, usecols=(1, 2, 3))
        for name in names
    ]
    rows = np.vstack(tables)
    values = rows[:, 1:]
    ready = (values - values.mean(axis=0)) / values.std(axis=0)
    return LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(ready, rows[:, 0])


async def test_three_banks_train_the_pooled_fit_and_all_say_so_in_the_log(
    banks: Banks, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation = await banks.propose((A, B, EAST))
    with pytest.raises(SafeRoomError) as early:
        await train(banks, federation, A)
    assert early.value.reason is Reason.UNKNOWN_STATEMENT, "it has not joined itself"
    await join_all(banks, federation, (A, B))
    with pytest.raises(SafeRoomError) as early:
        await train(banks, federation, A)
    assert early.value.reason is Reason.CONFLICT
    assert "bank-east" in early.value.fields[0].rule
    await join_all(banks, federation, (A, EAST))  # one joins twice: the same word
    await refused_rows(banks, federation)
    done = await asyncio.gather(*(train(banks, federation, name) for name in (A, B, EAST)))
    models = [each.model for each in done]
    assert models[0] is not None
    assert models == [models[0]] * 3
    fit = pooled(banks, (A, B, EAST))
    assert np.allclose(models[0].fitted.weights, fit.coef_[0], atol=1e-6)
    assert models[0].fitted.converged
    view = await banks.rooms[A].show_federation("default-12m")
    assert view.state == "trained"
    assert {result.institution for result in view.results} == {A, B, EAST}
    assert view.differing == ()
    assert view.results[0].rows == 1200
    # The same again is told from the folder, and said no second time.
    again = await train(banks, federation, A)
    assert again.model == models[0]
    assert len(again.view.results) == 3
    folder = FederationFolder(banks.rooms[A].profile, federation)
    kept = sorted(path.name for path in folder.folder.iterdir())
    assert kept == ["join.json", "masked", "model.json", "result.json"], "the state is gone"
    assert await banks.server.books.archive.federation_messages(federation) == ()
    # An auditor finds nothing wrong in what all said, and could open all of it.
    async with AsyncRoom.open(banks.live.member("auditor", "desk")) as auditor:
        assert (await auditor.audit_log()).violations == ()
    # A bank that has too many proposals open is refused.
    monkeypatch.setattr("saferoom.federations.desk.MOST_OPEN", 1)
    with pytest.raises(Refused) as refused:
        await banks.propose((A, B, EAST), name="one-more")
    assert refused.value.reason is Reason.TOO_MANY_REQUESTS
    # A bank that it does not name is told of nothing.
    assert await banks.rooms[WEST].list_federations() == ()
    with pytest.raises(Refused) as refused:
        await banks.rooms[WEST].show_federation(federation)
    assert refused.value.reason is Reason.UNKNOWN_STATEMENT


async def refused_rows(banks: Banks, federation: str) -> None:
    """Rows that cannot be trained on are refused before anything is sent."""
    few = banks.live.folder / "few.csv"
    few.write_text("".join(banks.rows(A).read_text().splitlines(keepends=True)[:150]))
    with pytest.raises(SafeRoomError) as refused:
        await banks.rooms[A].train_federation(federation, few, label="default")
    assert refused.value.reason is Reason.MALFORMED
    assert "TOO_FEW_ROWS" in refused.value.fields[0].rule
    with pytest.raises(SafeRoomError) as refused:
        await banks.rooms[A].train_federation(federation, banks.rows(A), label="income")
    view = await banks.rooms[A].show_federation(federation)
    assert view.rounds is None, "nothing was sent"


async def ended_by_one(banks: Banks) -> None:
    """A bank that ends it ends it for all, at once."""
    federation = await banks.propose((A, B, EAST), name="first")
    await join_all(banks, federation, (A, B, EAST))
    waiting = [asyncio.create_task(train(banks, federation, name)) for name in (A, B)]
    ended = await banks.rooms[EAST].end_federation(federation, "our rows are not ready")
    assert ended.state == "ended"
    for each in await asyncio.gather(*waiting):
        assert each.model is None
        assert each.ended == "CANCELLED: bank-east takes part no longer"
    # Whoever runs it again goes on with the secrets it had, and by the other bank's signed word.
    folder = FederationFolder(banks.rooms[A].profile, federation)
    before = folder.state()
    assert before is not None
    assert (await train(banks, federation, A)).ended == "our rows are not ready"
    assert folder.state() == before
    # The room keeps nothing of it but how it ended, and that until it is a day past.
    kept = await banks.server.books.archive.federation_messages(federation)
    assert kept == (b"eCANCELLED: bank-east takes part no longer",)
    with pytest.MonkeyPatch.context() as later:
        later.setattr("saferoom.federations.desk.KEPT_FOR", timedelta(days=-40))
        later.setattr("saferoom.federations.desk.LOOK_SECONDS", 0.05)
        await banks.reopen()
        books = banks.server.books
        assert await books.archive.federation_messages(federation) == ()
        # And while it is open, though nobody says anything.
        await books.ledger.store(FederationRow(federation, 0, kept[0]))

        async def forgotten() -> bool:
            return not await books.archive.federation_messages(federation)

        await until(forgotten)
    late = await banks.propose((A, B, EAST), name="second")
    await banks.rooms[B].end_federation(late, "no")
    with pytest.raises(Refused) as refused:
        await banks.rooms[A].join_federation(late)
    assert refused.value.reason is Reason.CONFLICT


async def test_a_training_that_differs_by_one_bank_from_an_earlier_one_is_not_joined(
    banks: Banks,
) -> None:
    await ended_by_one(banks)  # without a sum: it is no earlier training
    first = await banks.propose(BANKS)
    await join_all(banks, first, BANKS)
    await asyncio.gather(*(train(banks, first, name) for name in BANKS))
    second = await banks.propose((A, B, EAST), name="without-west")
    with pytest.raises(SafeRoomError) as refused:
        await banks.rooms[A].join_federation(second)
    assert refused.value.reason is Reason.CONFLICT
    assert "bank-west" in refused.value.fields[0].rule
    await banks.rooms[A].join_federation(await banks.propose(BANKS, name="again"))


@pytest.mark.soak
async def test_a_room_and_a_bank_that_are_stopped_go_on_where_they_were(
    banks: Banks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saferoom.server._STOP_SECONDS", 0.2)  # streams under way are cut off
    federation = await banks.propose((A, B, EAST))
    await join_all(banks, federation, (A, B, EAST))
    reached = asyncio.Event()

    def told(progress: FederationProgress) -> None:
        if progress.round >= 2:
            reached.set()

    stopped = asyncio.create_task(
        banks.rooms[A].train_federation(federation, banks.rows(A), label="default", told=told)
    )
    others = [asyncio.create_task(train(banks, federation, name)) for name in (B, EAST)]
    await asyncio.wait_for(reached.wait(), 60)
    stopped.cancel()
    await asyncio.wait([stopped])
    assert stopped.cancelled() or stopped.done()
    await banks.reopen()
    async with AsyncRoom.open(banks.live.member(A, "desk")) as anew:
        done = await anew.train_federation(federation, banks.rows(A), label="default")
    results = [done, *await asyncio.gather(*others)]
    assert results[0].model is not None
    assert [each.model for each in results] == [results[0].model] * 3
    assert np.allclose(
        results[0].model.fitted.weights, pooled(banks, (A, B, EAST)).coef_[0], atol=1e-6
    )
