"""Has a child make cells of a provider's answer, and holds them to whom they are about."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from saferoom_enclaves.answers import garbled, lent_memory
from saferoom_enclaves.children import jobs
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.storework import ComputedFeatures, StoreWork
from saferoom_enclaves.vault import freeze
from saferoom_proto.statements.feature import Table

SECONDS: Final = 10.0
"""For one answer. It has 1 MiB at most, and takes some 50 ms beside what its child imports."""
_INDEX_BYTES: Final = 1 << 16
"""One subject's cells of more features than an owner has."""


def compute_answer(
    work: StoreWork,
    answer: bytes,
    subject: str,
    tables: Sequence[Table],
    features: Sequence[FeatureDefinition],
) -> ComputedFeatures:
    """Compute features over an answer about one subject; in any thread.

    Args:
        work: has children.
        answer: as it came; empty if the provider knows no such subject.
        subject: whom it must be about.
        tables: those of the source.
        features: what to compute.

    Raises:
        SafeRoomError: MALFORMED or TOO_LARGE, it cannot be used; DEADLINE or INTERNAL, its child
            had to be stopped or broke down; UNAVAILABLE, there is no fork server.
    """
    order = jobs.Materialise(tables=tuple(tables), features=tuple(features), answer_about=subject)
    with memory_of(answer) as memory:
        index, refused = work.cells(order, memory, work.bounds(SECONDS, _INDEX_BYTES))
    if index.subjects > 1 or (index.subjects and subject not in index):
        raise garbled("cells of another subject")
    return ComputedFeatures(index, refused)


@contextmanager
def memory_of(data: bytes) -> Generator[int]:
    """Give bytes as memory that nobody can write."""
    with lent_memory(data) as memory:
        freeze(memory)
        yield memory
