"""A training under way in the room: who is waited for, who is not, and what a killed room keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from saferoom.federations.run import EndedError, FederationRun
from saferoom_models.horizontal.messages import Kind
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.models.federated import Federation, federation, name_of

SECONDS = 60.0


class Kept:
    """What a room wrote down."""

    def __init__(self) -> None:
        self.happened: list[bytes] = []

    async def keep(self, what: bytes) -> None:
        await asyncio.sleep(0)
        self.happened.append(what)


def run_of(made: Federation, kept: Kept, wait: float = SECONDS) -> FederationRun:
    return FederationRun(made.terms, wait, kept.keep)


def waiting(made: Federation, place: int) -> bytes:
    bank = made.banks[name_of(place)]
    return bank.waiting or bank.begin()


async def go(
    run: FederationRun, made: Federation, places: Sequence[int], until: tuple[int, Kind]
) -> None:
    """Have banks take part until one would send a message of a step; that is not sent."""

    async def bank(place: int) -> None:
        side = made.banks[name_of(place)]
        waiting(made, place)
        while not side.over and (side.round, Kind(side._round.held.awaited - 1)) < until:
            side.answer(await run.answer(name_of(place), side.waiting))

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*map(bank, places))


async def test_a_bank_that_is_silent_is_left_out_of_the_first_round_and_ends_a_later_one() -> None:
    made = federation((500,) * 4)
    run = run_of(made, Kept(), wait=0.05)
    await go(run, made, range(4), (0, Kind.SHARES))
    await go(run, made, range(3), (1, Kind.KEYS))
    assert made.banks[name_of(0)].banks == tuple(map(name_of, range(3)))
    with pytest.raises(EndedError, match="LEFT_OUT"):
        await run.answer(name_of(3), waiting(made, 3))
    gone = asyncio.create_task(go(run, made, (0, 1), (1, Kind.SHARES)))
    with pytest.raises(EndedError, match=r"NEAR_SETS|TOO_FEW_MEMBERS"):
        await gone
    assert run.progress.ended
    assert run.progress.missing == ()
    await run.stop(1)


async def test_before_anything_was_sent_everyone_is_waited_for() -> None:
    made = federation()
    run = run_of(made, Kept(), wait=0.0)
    first = [
        asyncio.create_task(run.answer(name_of(place), waiting(made, place))) for place in (0, 1)
    ]
    done, _ = await asyncio.wait(first, timeout=0.2)
    assert not done
    assert run.progress.missing == (name_of(2),)
    await run.answer(name_of(2), waiting(made, 2))
    await asyncio.gather(*first)


async def test_a_room_that_was_killed_anywhere_goes_on_to_the_same_model() -> None:
    straight = federation()
    whole = Kept()
    await go(run_of(straight, whole), straight, range(3), (99, Kind.KEYS))
    for cut in (6, 23, len(whole.happened) - 2):
        anew, kept = federation(), Kept()
        kept.happened = whole.happened[:cut]
        run = run_of(anew, kept)
        run.replay(kept.happened)
        # The banks are as far as the room told them, or behind: they send again what waits.
        while not anew.aggregator.over and (
            (anew.aggregator.round, anew.aggregator.kind)
            < (run._aggregator.round, run._aggregator.kind)
        ):
            anew.step()
        await go(run, anew, range(3), (99, Kind.KEYS))
        assert run.progress.over
        assert kept.happened == whole.happened


async def test_a_bank_that_lacks_the_last_sum_is_given_it_after_the_end() -> None:
    made = federation((500,) * 4)
    run = run_of(made, Kept())
    await go(run, made, range(4), (1, Kind.OPENED))
    tasks = [
        asyncio.create_task(run.answer(name_of(place), waiting(made, place))) for place in range(4)
    ]
    answers = await asyncio.gather(*tasks)
    await run.end("CANCELLED: bank-00 takes part no longer")
    assert await run.answer(name_of(3), waiting(made, 3)) == answers[3]
    for place, answer in enumerate(answers):
        made.banks[name_of(place)].answer(answer)
    with pytest.raises(EndedError, match="CANCELLED"):
        await run.answer(name_of(0), waiting(made, 0))
    models = [bank.model() for bank in made.banks.values()]
    assert models == [models[0]] * 4


async def test_a_bank_that_leaves_while_its_message_is_taken_leaves_nothing_half_done() -> None:
    made, kept = federation(), Kept()
    run = run_of(made, kept)
    asking = asyncio.create_task(run.answer(name_of(0), waiting(made, 0)))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await run.stop(SECONDS)
    assert kept.happened in ([], [b"m" + waiting(made, 0)])
    await go(run, made, range(3), (1, Kind.KEYS))
    again = run_of(federation(), Kept())
    again.replay(kept.happened)
    assert again.progress.rounds == 1


async def test_a_message_that_could_not_be_written_down_is_before_what_follows() -> None:
    made, kept = federation(), Kept()
    full = True

    async def keep(what: bytes) -> None:
        if full:
            raise OSError("no space left")
        await kept.keep(what)

    run = FederationRun(made.terms, SECONDS, keep)
    with pytest.raises(OSError, match="no space"):
        await run.answer(name_of(0), waiting(made, 0))
    full = False
    await go(run, made, range(3), (1, Kind.KEYS))
    again = run_of(federation(), Kept())
    again.replay(kept.happened)
    assert again.progress.rounds == 1


@pytest.mark.parametrize("silent", [False, True])
async def test_a_step_whose_end_could_not_be_written_down_is_told_nobody_and_keeps_nobody_waiting(
    silent: bool,
) -> None:
    """Whether the last message closes it or the time; each that waits tries to write it down."""
    made, kept, refused = federation((500,) * 4), Kept(), list[bytes]()
    tries = 5  # one by whoever ends the step, one by each that waits

    async def keep(what: bytes) -> None:
        if what == b"c" and len(kept.happened) > 5 and len(refused) < tries:
            refused.append(what)
            raise OSError("no space left")
        await kept.keep(what)

    run = FederationRun(made.terms, 0.05 if silent else SECONDS, keep)
    await go(run, made, range(4), (0, Kind.SHARES))
    places = range(4 - silent)

    async def ask() -> list[bytes | BaseException]:
        asked = [run.answer(name_of(place), waiting(made, place)) for place in places]
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), SECONDS)

    told = await ask()
    assert [type(each) for each in told] == [OSError] * len(places)
    tries = 0
    answers = await ask()
    assert all(isinstance(each, bytes) for each in answers)
    assert kept.happened[5:] == [*(b"m" + waiting(made, place) for place in places), b"c"]
    again = run_of(federation((500,) * 4), Kept())
    again.replay(kept.happened)
    assert await again.answer(name_of(0), waiting(made, 0)) == answers[0]
    await run.stop(1)


async def test_a_message_of_another_bank_or_of_nobody_is_refused() -> None:
    made = federation()
    run = run_of(made, Kept())
    for name, message, words in (
        (name_of(1), waiting(made, 0), "NOT_SIGNED"),
        (name_of(0), b"", "MALFORMED"),
        (name_of(0), waiting(made, 0)[:-1], "WRONG_SIZE"),
        (name_of(0), b"x" * 200, "MALFORMED"),
    ):
        with pytest.raises(SafeRoomError, match=words) as refused:
            await run.answer(name, message)
        assert refused.value.reason is Reason.MALFORMED
    assert len(run.progress.missing) == len(made.banks)


def test_what_was_kept_and_does_not_fit_is_said() -> None:
    made = federation()
    run = run_of(made, Kept())
    with pytest.raises(SafeRoomError) as refused:
        run.replay([b"m" + waiting(made, 0), b"c"])
    assert refused.value.reason is Reason.STORE_DAMAGED
