"""The consents that answers were given under, handed out beside them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from saferoom.archive import Archive
from saferoom.evidence import Recorded
from saferoom.refusals import Word
from saferoom_proto.dsse import Envelope

KEPT: Final = 4096
"""Consents kept in memory, of about 4 KiB: a bank asks about the same subjects again."""


class Consents:
    """Finds the consents that releases name.

    Args:
        archive: holds them all.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive: Final = archive
        self._kept: Final[OrderedDict[str, Envelope]] = OrderedDict()

    def of(self, words: Iterable[Recorded[Word]]) -> list[Envelope]:
        """Give the consents of an answer's parts, each once."""
        named = dict.fromkeys(word.said.consent for word in words)
        found = [self._find(digest) for digest in named if digest is not None]
        return [consent for consent in found if consent is not None]

    def _find(self, digest: str) -> Envelope | None:
        if digest in self._kept:
            self._kept.move_to_end(digest)
            return self._kept[digest]
        consent = self._archive.statement(digest)
        if consent is not None:
            self._kept[digest] = consent
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return consent
