from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.groupcommit import GroupCommit
from saferoom_proto.reasons import Reason, SafeRoomError


class Disk:
    """Commits numbers; can be held shut, so that a test decides what arrives meanwhile."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.started = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def commit(self, batch: Sequence[int]) -> Sequence[int | Exception]:
        self.started.set()
        assert self.may_go_on.wait(30)
        self.threads.add(threading.get_ident())
        self.batches.append(list(batch))
        return [-item for item in batch]

    @property
    def committed(self) -> list[int]:
        return [item for batch in self.batches for item in batch]

    async def hold(self, group: GroupCommit[int, int], item: int) -> asyncio.Task[int]:
        """Start a commit of one item and keep it under way."""
        self.started.clear()
        self.may_go_on.clear()
        task = asyncio.create_task(group.submit(item))
        assert await asyncio.to_thread(self.started.wait, 30)
        return task


async def test_a_lone_item_is_committed_without_waiting_for_company() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, quick_seconds=0) as group:
        assert await group.submit(7) == -7
    assert disk.batches == [[7]]


async def test_a_quick_disk_is_waited_for_in_the_loop_and_a_slow_one_in_the_thread() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, quick_seconds=60) as group:
        assert await asyncio.gather(*(group.submit(item) for item in range(4))) == [0, -1, -2, -3]
        assert disk.batches == [[0, 1, 2, 3]]
        assert disk.threads == {threading.get_ident()}
    disk = Disk()
    async with GroupCommit(disk.commit, quick_seconds=0) as group:
        assert await group.submit(1) == -1
    assert threading.get_ident() not in disk.threads


async def test_a_disk_that_becomes_slow_is_left_to_the_thread_until_it_is_quick_again() -> None:
    own, threads, slow = threading.get_ident(), list[int](), threading.Event()

    def commit(batch: Sequence[int]) -> Sequence[int]:
        threads.append(threading.get_ident())
        if slow.is_set():
            time.sleep(0.3)
        return batch

    async with GroupCommit(commit, quick_seconds=0.03) as group:
        await group.submit(0)
        slow.set()
        await group.submit(1)
        slow.clear()
        for item in range(100):
            await group.submit(item)
    assert threads[:2] == [own, own]
    assert threads[2] != own
    assert threads[-1] == own


async def test_what_is_not_brief_goes_to_the_thread_and_what_follows_waits_behind_it() -> None:
    disk = Disk()
    own = threading.get_ident()
    async with GroupCommit(
        disk.commit, quick_seconds=60, brief=lambda items: all(item < 10 for item in items)
    ) as group:
        first = await disk.hold(group, 10)
        second = asyncio.create_task(group.submit(1))
        await asyncio.sleep(0.01)
        assert disk.batches == []
        disk.may_go_on.set()
        assert await asyncio.gather(first, second) == [-10, -1]
        assert disk.batches == [[10], [1]]
        assert own not in disk.threads
        assert await group.submit(2) == -2
        assert own in disk.threads


@pytest.mark.parametrize("quick_seconds", [0, 60])
async def test_what_is_brief_goes_before_what_is_not_and_waits_for_one_of_it_only(
    quick_seconds: float,
) -> None:
    disk = Disk()
    answered: list[int] = []
    async with GroupCommit(
        disk.commit,
        quick_seconds=quick_seconds,
        largest_batch=3,
        brief=lambda items: all(item < 10 for item in items),
    ) as group:

        async def submit(item: int) -> None:
            assert await group.submit(item) == -item
            answered.append(item)

        first = await disk.hold(group, 10)
        others = [asyncio.create_task(submit(item)) for item in (11, 12, 1, 13, 2, 3, 4, 5)]
        await asyncio.sleep(0.01)
        disk.may_go_on.set()
        await asyncio.gather(first, *others)
    # One that was gone before is next, so none waits for ever; and each keeps its own order.
    assert disk.batches == [[10], [1, 2, 3], [11], [4, 5], [12], [13]]
    assert answered == [1, 2, 3, 11, 4, 5, 12, 13]


async def test_what_is_brief_is_answered_before_what_came_with_it_is_done() -> None:
    disk = Disk()
    async with GroupCommit(
        disk.commit, quick_seconds=60, brief=lambda items: all(item < 10 for item in items)
    ) as group:
        disk.started.clear()
        long = asyncio.create_task(group.submit(10))
        brief = asyncio.create_task(group.submit(1))
        assert await asyncio.wait_for(brief, 30) == -1
        assert await long == -10
    assert disk.batches == [[1], [10]]


async def test_a_failed_commit_in_the_loop_is_told_to_all_of_its_batch_and_ends_nothing() -> None:
    def commit(batch: Sequence[int]) -> Sequence[int]:
        if 13 in batch:
            raise SafeRoomError(Reason.UNAVAILABLE, "the disk refuses")
        return batch

    async with GroupCommit(commit, quick_seconds=60) as group:
        told = await asyncio.gather(group.submit(1), group.submit(13), return_exceptions=True)
        assert [type(each) for each in told] == [SafeRoomError, SafeRoomError]
        assert told[0] is not told[1]
        assert await group.submit(2) == 2


async def test_what_arrives_during_a_commit_shares_the_next_one_in_order() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, quick_seconds=0) as group:
        first = await disk.hold(group, 0)
        rest = [asyncio.create_task(group.submit(item)) for item in range(1, 40)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        disk.may_go_on.set()
        assert await asyncio.gather(first, *rest) == [-item for item in range(40)]
    assert disk.batches == [[0], list(range(1, 40))]
    assert len(disk.threads) == 1
    assert threading.get_ident() not in disk.threads


async def test_tasks_that_are_ready_together_are_committed_together() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, quick_seconds=0) as group:
        await asyncio.gather(*(group.submit(item) for item in range(16)))
    assert disk.batches == [list(range(16))]


async def test_a_batch_is_no_larger_than_allowed() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, largest_batch=3, quick_seconds=0) as group:
        await asyncio.gather(*(group.submit(item) for item in range(8)))
    assert disk.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_a_full_group_makes_callers_wait() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, capacity=2, quick_seconds=0) as group:
        first = await disk.hold(group, 0)
        rest = [asyncio.create_task(group.submit(item)) for item in (1, 2, 3)]
        await asyncio.sleep(0.01)
        disk.may_go_on.set()
        assert await asyncio.gather(first, *rest) == [0, -1, -2, -3]
    assert max(len(batch) for batch in disk.batches) <= 2
    assert disk.committed == [0, 1, 2, 3]


async def test_a_cancelled_caller_does_not_undo_the_commit_of_the_others() -> None:
    disk = Disk()
    async with GroupCommit(disk.commit, capacity=3, quick_seconds=0) as group:
        first = await disk.hold(group, 0)
        second = asyncio.create_task(group.submit(1))
        third = asyncio.create_task(group.submit(2))
        await asyncio.sleep(0.01)
        first.cancel()
        second.cancel()
        disk.may_go_on.set()
        assert await third == -2
        assert disk.committed == [0, 1, 2]
        # The room that the cancelled ones took is free again.
        assert await asyncio.gather(*(group.submit(item) for item in (3, 4, 5))) == [-3, -4, -5]
    assert first.cancelled()
    assert second.cancelled()


async def test_closing_finishes_what_was_accepted_and_refuses_what_was_not() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit, capacity=3, quick_seconds=0)
    tasks = [await disk.hold(group, 0)]
    tasks += [asyncio.create_task(group.submit(item)) for item in (1, 2)]
    too_late = asyncio.create_task(group.submit(3))
    await asyncio.sleep(0)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    disk.may_go_on.set()
    await closing
    assert await asyncio.gather(*tasks) == [0, -1, -2]
    for refused in (too_late, group.submit(4)):
        with pytest.raises(SafeRoomError) as refusal:
            await refused
        assert refusal.value.reason is Reason.UNAVAILABLE
    await group.close()
    assert disk.committed == [0, 1, 2]
    assert "group-commit" not in {thread.name for thread in threading.enumerate()}


async def test_a_close_that_is_cancelled_still_closes() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit, quick_seconds=0)
    task = await disk.hold(group, 1)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    closing.cancel()
    disk.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert await task == -1
    await group.close()


async def test_one_items_refusal_is_its_own() -> None:
    def commit(batch: Sequence[int]) -> Sequence[int | Exception]:
        return [
            SafeRoomError(Reason.CONFLICT, f"item {item}") if item % 2 else item for item in batch
        ]

    async with GroupCommit(commit, quick_seconds=0) as group:
        outcomes = await asyncio.gather(
            *(group.submit(item) for item in range(4)), return_exceptions=True
        )
    assert [outcomes[0], outcomes[2]] == [0, 2]
    assert [str(outcomes[1]), str(outcomes[3])] == ["CONFLICT: item 1", "CONFLICT: item 3"]


async def test_a_commit_that_fails_refuses_all_of_its_batch_and_none_of_the_next() -> None:
    broken = True

    def commit(batch: Sequence[int]) -> Sequence[int | Exception]:
        if broken:
            raise OSError(28, "No space left on device")
        return batch

    async with GroupCommit(commit, quick_seconds=0) as group:
        refusals = await asyncio.gather(
            *(group.submit(item) for item in range(3)), return_exceptions=True
        )
        broken = False
        assert await group.submit(9) == 9
    assert len({id(refusal) for refusal in refusals}) == 3
    for refusal in refusals:
        assert isinstance(refusal, SafeRoomError)
        assert refusal.reason is Reason.INTERNAL
        assert refusal.detail == "the commit failed: OSError"
        assert isinstance(refusal.__cause__, OSError)


async def test_the_reason_of_a_failed_commit_reaches_every_caller() -> None:
    def commit(batch: Sequence[int]) -> Sequence[int | Exception]:
        raise SafeRoomError(Reason.UNAVAILABLE, "the disk is full")

    async with GroupCommit(commit, quick_seconds=0) as group:
        refusals = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert [str(refusal) for refusal in refusals] == ["UNAVAILABLE: the disk is full"] * 2


async def test_a_commit_that_loses_count_acknowledges_nothing() -> None:
    async with GroupCommit[int, int](lambda batch: list(batch)[1:]) as group:
        with pytest.raises(SafeRoomError) as refusal:
            await group.submit(1)
    assert refusal.value.reason is Reason.INTERNAL


@pytest.mark.parametrize(("capacity", "largest_batch"), [(0, 1), (1, 0), (-1, 5)])
async def test_a_group_that_could_take_nothing_is_refused(
    capacity: int, largest_batch: int
) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        GroupCommit(Disk().commit, capacity=capacity, largest_batch=largest_batch)
    assert refusal.value.reason is Reason.BAD_CONFIG


def test_a_loop_that_ends_without_close_ends_the_thread_too() -> None:
    disk = Disk()
    threads: list[threading.Thread] = []

    async def leave() -> None:
        group = GroupCommit(disk.commit, name="left-behind", quick_seconds=0)
        threads.extend(each for each in threading.enumerate() if each.name == "left-behind")
        task = await disk.hold(group, 5)
        task.cancel()

    asyncio.run(leave())
    disk.may_go_on.set()
    threads[0].join(30)
    assert not threads[0].is_alive()
    assert disk.batches == [[5]]


@given(
    capacity=st.integers(1, 9),
    largest_batch=st.integers(1, 9),
    writers=st.lists(st.integers(1, 8), min_size=1, max_size=12),
)
def test_every_item_is_committed_once_and_answered_with_its_own_result(
    capacity: int, largest_batch: int, writers: list[int]
) -> None:
    committed: list[tuple[int, int]] = []

    def commit(batch: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int] | Exception]:
        assert 1 <= len(batch) <= min(capacity, largest_batch)
        committed.extend(batch)
        return batch

    async def main() -> None:
        async with GroupCommit(
            commit, capacity=capacity, largest_batch=largest_batch, quick_seconds=0
        ) as group:

            async def write(writer: int, items: int) -> None:
                for item in range(items):
                    assert await group.submit((writer, item)) == (writer, item)

            await asyncio.gather(*(write(*each) for each in enumerate(writers)))

    asyncio.run(main())
    for writer, items in enumerate(writers):
        assert [item for who, item in committed if who == writer] == list(range(items))
    assert len(committed) == sum(writers)
