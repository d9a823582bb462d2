"""Which rows of batches are about a subject: kept with every chunk, for that subject alone.

A batch's rows are found by nobody else. With each chunk goes a list of its subjects, 4 bytes each,
that is gone through when a subject asks; the rows themselves say whether they are about it. A bank
can have a million such lists, of one row each: so they are gone through piece by piece, between
which questions are judged. The four bytes are of a keyed hash: whoever could choose codes with
another's mark could have that one's rows lie behind chunks in which it does not stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from saferoom_enclaves.batches.progress import ProgressRows
from saferoom_enclaves.journal import Journal, OutboxEntry
from saferoom_enclaves.rowform import pack, pack_envelope, unpack, unpack_envelope
from saferoom_enclaves.state import Row, State
from saferoom_proto.batch import (
    CHUNK_ROWS,
    CODES,
    ROW_BYTES,
    SALT_BYTES,
    SUBJECT_BYTES,
    BatchKeys,
    JudgedRows,
    split,
)
from saferoom_proto.batch_row import HeldRow
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.holdings import MOST_BATCHES, HeldBatch
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.tree import Tree

MOST_CHUNKS: Final = 64
"""Taken out for one subject: some 16 MB, and half a second of hashing beside the work."""

LOOKED_AT_ONCE: Final = 1024
"""Lists gone through in one piece: some 10 ms, as a chunk of a batch takes."""

MOST_TEXT: Final = 2 * 1024 * 1024
"""Characters of batches shown to one subject: long questions leave room for its records."""

_INDEX_BYTES: Final = 8
_NUMBER_BYTES: Final = 4
_QUESTION_PARTS: Final = 2
_ASKED_PARTS: Final = 3
_TAGS: Final = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """A batch with rows about a subject, as it is kept.

    Attributes:
        question: the batch as it was asked.
        word: the enclave's, with what opens it in the log.
        keys: open its salts.
        chunks: each that holds a row about the subject, with the way from its root to the batch's.
        left: how many more chunks with such rows there were.
    """

    question: Envelope
    word: OutboxEntry
    keys: BatchKeys
    chunks: tuple[tuple[JudgedRows, tuple[bytes, ...]], ...]
    left: int

    def read(self, subject: str) -> HeldBatch | None:
        """Take out the rows about a subject, each with its proof; none if there are none."""
        rows: list[HeldRow] = []
        seen: set[int] = set()
        for chunk, above in self.chunks:
            # A row that stands earlier in the batch was refused and tells nothing new.
            places: dict[int, int] = {}
            for place, parameters in _about(subject, chunk.rows):
                if parameters not in seen:
                    seen.add(parameters)
                    places[place] = parameters
            if places:
                rows += self._rows(places, chunk, above)
        if not rows:
            return None
        return HeldBatch(
            question=self.question.to_json().decode(),
            word=self.word.statement.to_json().decode(),
            salt=b64(self.word.salt),
            rows=tuple(rows),
            more=self.left,
        )

    def _rows(
        self, places: Mapping[int, int], chunk: JudgedRows, above: tuple[bytes, ...]
    ) -> Iterator[HeldRow]:
        salts = self.keys.salts(chunk.first, chunk.count)
        tree = Tree(chunk.leaves(salts, self.question.digest), self.question.suite)
        width = len(chunk.records) // chunk.count
        for place, parameters in places.items():
            yield HeldRow(
                index=chunk.first + place,
                parameters=parameters,
                when=b64(chunk.when),
                record=b64(chunk.records[place * width : (place + 1) * width]),
                salt=b64(salts[place * SALT_BYTES : (place + 1) * SALT_BYTES]),
                path=tuple(map(b64, (*tree.path(place), *above))),
            )


@dataclass(frozen=True, slots=True)
class FoundBatches:
    """The batches that have rows about a subject.

    Attributes:
        subject: whom.
        batches: the newest first.
        earlier: how many more there were before these.
    """

    subject: str
    batches: tuple[FoundBatch, ...]
    earlier: int

    def read(self) -> tuple[tuple[HeldBatch, ...], int]:
        """Take out the rows about the subject, in any thread.

        Returns:
            The batches, as many as are shown, and how many more there were before them.
        """
        shown: list[HeldBatch] = []
        left = MOST_TEXT
        for at, found in enumerate(self.batches):
            batch = found.read(self.subject)
            if batch is None:
                continue
            left -= len(batch.model_dump_json())
            if left < 0:
                return tuple(shown), self.earlier + len(self.batches) - at
            shown.append(batch)
        return tuple(shown), self.earlier


@dataclass(slots=True)
class Search:
    """A subject's rows, as far as they have been looked for.

    Attributes:
        subject: whose.
        mark: by which it stands in the lists.
        numbers: of each batch, which chunks seem to be about the subject.
        after: how far the lists have been gone through: the last one's key. What is kept before it
            meanwhile is left to the next time.
        done: whether that was all.
    """

    subject: str
    mark: np.uint32
    numbers: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    after: bytes = b""
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch's question, and the entry of the chain that is the word on it, if there is one."""

    row: Row
    question: Envelope
    entry: int | None


class AboutSubjects:
    """Finds the rows of batches that are about a subject.

    Args:
        state: the enclave's database, opened.
        kept: how far batches are, and their chunks.
    """

    def __init__(self, state: State, kept: ProgressRows) -> None:
        self._state: Final = state
        self._kept: Final = kept

    def begin(self, request_id: str, question: Envelope) -> None:
        """Keep a batch's question; within a transaction."""
        self._state.put("batch", self._question_key(request_id), pack(pack_envelope(question), b""))

    def add(self, request_id: str, chunk: JudgedRows) -> None:
        """Keep whom a chunk is about; within a transaction."""
        number = (chunk.first // CHUNK_ROWS).to_bytes(_NUMBER_BYTES, "big")
        tags = self._marked(_codes(chunk.rows))
        # Else a bank could fill a subject's list with one row, a million times.
        codes = np.frombuffer(chunk.records, np.uint8).reshape(chunk.count, -1)[:, 0]
        tags = tags[codes != CODES[Reason.ROW_REPEATED]]
        key = self._state.cipher.find("asked", request_id, str(chunk.first // CHUNK_ROWS))
        self._state.put("asked", key, pack(request_id.encode(), number, tags.tobytes()))

    def finish(self, request_id: str, entry: int) -> None:
        """Keep which entry of the chain is the word on a batch; within a transaction."""
        kept = self._question(request_id)
        content = pack(pack_envelope(kept.question), entry.to_bytes(_INDEX_BYTES, "big"))
        self._state.put("batch", self._question_key(request_id), content, kept.row)

    def search(self, subject: str) -> Search:
        """Begin to look for a subject's rows."""
        (mark,) = self._marked([subject.encode()])
        return Search(subject, mark)

    def go_on(self, search: Search) -> None:
        """Look through one piece more."""
        piece = self._state.found_after("asked", search.after, LOOKED_AT_ONCE)
        for key, each in piece:
            search.after = key
            request_id, number, tags = unpack(each.content, _ASKED_PARTS)
            if (np.frombuffer(tags, _TAGS) == search.mark).any():
                of_batch = search.numbers.setdefault(request_id.decode(), [])
                of_batch.append(int.from_bytes(number, "big"))
        search.done = len(piece) < LOOKED_AT_ONCE

    def about(self, search: Search, owner: str, journal: Journal) -> FoundBatches:
        """Give the batches that were judged to their end and have rows about a subject.

        Args:
            search: for them; gone to its end here if it is not there yet.
            owner: whose enclave this is.
            journal: its chain.
        """
        while not search.done:
            self.go_on(search)
        numbers = search.numbers
        # One question at a time: each may be long, and a bank asks as many as it likes.
        done: list[tuple[int, str]] = []
        for request_id in numbers:
            entry = self._question(request_id).entry
            if entry is not None:
                done.append((entry, request_id))
        done.sort(reverse=True)
        found: list[FoundBatch] = []
        left = MOST_CHUNKS
        for _, request_id in done[:MOST_BATCHES]:
            chunks = sorted(numbers[request_id])
            if left > 0:
                kept = self._question(request_id)
                found.append(self._found(kept, owner, journal, chunks, left))
            left -= len(chunks)
        return FoundBatches(search.subject, tuple(found), len(done) - len(found))

    def _found(
        self, kept: _Kept, owner: str, journal: Journal, numbers: list[int], most: int
    ) -> FoundBatch:
        request_id = kept.question.digest
        progress = self._kept.read(request_id)
        if progress is None or kept.entry is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, "a batch has chunks and no progress")
        tree = progress.tree(kept.question.suite)
        chunks = [(self._kept.judged(request_id, at), tree.path(at)) for at in numbers[:most]]
        return FoundBatch(
            kept.question,
            journal.read(kept.entry).entry,
            BatchKeys(unb64(progress.secret), request_id, owner),
            tuple(chunks),
            len(numbers[most:]),
        )

    def _question(self, request_id: str) -> _Kept:
        row = self._state.get("batch", self._question_key(request_id))
        if row is None:
            raise SafeRoomError(Reason.STORE_DAMAGED, "a batch has chunks and no question")
        question, entry = unpack(row.content, _QUESTION_PARTS)
        index = int.from_bytes(entry, "big") if entry else None
        return _Kept(row, unpack_envelope(question), index)

    def _question_key(self, request_id: str) -> bytes:
        return self._state.cipher.find("batch", "question", request_id)

    def _marked(self, codes: Iterable[bytes]) -> npt.NDArray[np.uint32]:
        return _marks(codes, self._state.cipher.find("asked", "marks"))


def _marks(codes: Iterable[bytes], key: bytes) -> npt.NDArray[np.uint32]:
    keyed = blake2b(digest_size=_TAGS.itemsize, key=key)
    marks = bytearray()
    for code in codes:
        mark = keyed.copy()
        mark.update(code)
        marks += mark.digest()
    return np.frombuffer(bytes(marks), _TAGS)


def _codes(rows: bytes) -> Iterator[bytes]:
    return (row[:SUBJECT_BYTES] for (row,) in split(rows, ROW_BYTES))


def _about(subject: str, rows: bytes) -> Iterator[tuple[int, int]]:
    """Give the rows about a subject: their places, and the numbers of their parameters."""
    code = subject.encode()
    for place, (row,) in enumerate(split(rows, ROW_BYTES)):
        if row[:SUBJECT_BYTES] == code:
            yield place, int.from_bytes(row[SUBJECT_BYTES:], "big")
