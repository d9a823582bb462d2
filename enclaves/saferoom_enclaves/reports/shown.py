"""On which pages of lists a subject was told: kept for that subject alone.

A list is about nobody beforehand, so neither the room nor the log knows whom it showed. The enclave
keeps it, by subject, and shows it with what else is held about the subject.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from saferoom_enclaves.journal import Journal
from saferoom_enclaves.rowform import pack_envelope, unpack_envelope
from saferoom_enclaves.state import Row, State
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.holdings import MOST_LISTS, HeldList
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Release, load

_TABLE: Final = "reports"
_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class FoundLists:
    """The pages that showed a subject: the newest first, and how many more there were."""

    lists: tuple[HeldList, ...] = ()
    earlier: int = 0


class ShownLists:
    """Keeps whom lists showed.

    Args:
        state: the enclave's database, opened. All is done within its transactions.
        journal: the enclave's chain.
    """

    def __init__(self, state: State, journal: Journal) -> None:
        self._state: Final = state
        self._journal: Final = journal

    def keep(self, question: Envelope, entry: int, subjects: Iterable[str]) -> None:
        """Keep whom a page showed, and by which entry of the chain; within its transaction."""
        shown = list(subjects)
        if not shown:
            return
        self._state.put(_TABLE, self._question_key(question.digest), pack_envelope(question))
        for subject in shown:
            row = self._row(subject)
            earlier, entries = _kept(row)
            entries.append(entry)
            earlier += max(0, len(entries) - MOST_LISTS)
            content = _content(earlier, entries[-MOST_LISTS:])
            self._state.put(_TABLE, self._subject_key(subject), content, row)

    def about(self, subject: str) -> FoundLists:
        """Find the pages that showed a subject."""
        earlier, entries = _kept(self._row(subject))
        return FoundLists(tuple(map(self._held, reversed(entries))), earlier)

    def _held(self, index: int) -> HeldList:
        entry = self._journal.read(index).entry
        request = load(entry.statement, Release).request
        question = self._state.get(_TABLE, self._question_key(request))
        if question is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, "a list was told and has no question")
        return HeldList(
            question=unpack_envelope(question.content).to_json().decode(),
            word=entry.statement.to_json().decode(),
            salt=b64(entry.salt),
        )

    def _row(self, subject: str) -> Row | None:
        return self._state.get(_TABLE, self._subject_key(subject))

    def _subject_key(self, subject: str) -> bytes:
        return self._state.cipher.find(_TABLE, "subject", subject)

    def _question_key(self, request_id: str) -> bytes:
        return self._state.cipher.find(_TABLE, "question", request_id)


def _content(earlier: int, entries: list[int]) -> bytes:
    return b"".join(each.to_bytes(_NUMBER_BYTES, "big") for each in (earlier, *entries))


def _kept(row: Row | None) -> tuple[int, list[int]]:
    """Give how many entries are not kept any more, and those that are."""
    content = _content(0, []) if row is None else row.content
    earlier, *entries = (
        int.from_bytes(content[at : at + _NUMBER_BYTES], "big")
        for at in range(0, len(content), _NUMBER_BYTES)
    )
    return earlier, entries
