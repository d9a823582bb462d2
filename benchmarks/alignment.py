"""What an alignment of two sides takes, by subjects a side.

`python -m benchmarks.alignment [--items ITEMS ...] [--workers WORKERS]`. Both sides run in one
process, one after the other, over the same pool of workers; half of their subjects are common.
Seconds are both sides' together, on the clock and of all processors.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from saferoom_models.psi import messages
from saferoom_models.psi.label_set import LabelSet
from saferoom_models.psi.room_set import RoomSet
from saferoom_models.psi.terms import AlignmentTerms

ITEMS = (4_096, 65_536)
MEGA = 1e6


def processor_seconds() -> float:
    """Say what this process and its ended workers have used."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def align(items: int, workers: int) -> None:
    """Align two sides of so many subjects, and print what it took."""
    own = [f"9144{number:014d}" for number in range(items)]
    theirs = [f"9144{number:014d}" for number in range(items // 2, items // 2 + items)]
    started, used = time.perf_counter(), processor_seconds()
    terms = AlignmentTerms("ab" * 32, items, room_most=items)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        label = LabelSet(terms, own, os.urandom, pool)
        blinded = label.begin()
        room = RoomSet(terms, theirs, messages.commitment(blinded), os.urandom, pool)
        candidates = room.answer(blinded)
        doubled = label.answer(candidates)
        assert doubled is not None
        common = room.learn(doubled)
        places = room.release()
        assert label.answer(places) is None
    assert [own[at] for at in label.aligned] == [theirs[at] for at in common]
    seconds, used = time.perf_counter() - started, processor_seconds() - used
    up, down = len(blinded) + len(doubled), len(candidates) + len(places)
    print(
        f"{items:7,}  {len(common):7,}  {seconds:7.2f}  {used:5.2f}"
        f"  {up / MEGA:5.1f}  {down / MEGA:7.1f}"
    )


def main() -> None:
    """Measure."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    asked.add_argument("--items", type=int, nargs="+", default=ITEMS)
    asked.add_argument("--workers", type=int, default=os.cpu_count())
    given = asked.parse_args()
    print("  items   common  seconds  cpu s  MB up  MB down")
    for items in given.items:
        align(items, given.workers)


if __name__ == "__main__":
    main()
