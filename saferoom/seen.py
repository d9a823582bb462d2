"""What others have seen of a room's log, held against the log itself.

Members keep checkpoints (`log.json`), receipts hold them, anybody can save one. A checkpoint of
more entries than the log has shows how many are lost; any other must be of this very log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import func, select

from saferoom.ledger.nodes import Nodes
from saferoom.state import tables
from saferoom.state.database import Database
from saferoom_proto import merkle
from saferoom_proto.checkpoint import Checkpoint, open_checkpoint, parse_proof
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that the log lacks, and that somebody holds.

    Attributes:
        index: of the entry.
        what: it is.
        where: it is held.
    """

    index: int
    what: str
    where: Path


@dataclass(frozen=True, slots=True)
class Behind:
    """By what a log is behind of what was seen of it.

    Attributes:
        size: entries of the log.
        seen: entries of the newest checkpoint that was shown; none if nothing was.
        held: entries beyond the log's end that were shown.
    """

    size: int
    seen: int | None
    held: tuple[Held, ...]

    @property
    def entries(self) -> int:
        """How many entries are known to be lost."""
        return max(0, (self.seen or 0) - self.size)


@dataclass(frozen=True, slots=True)
class _Shown:
    where: Path
    checkpoint: Checkpoint
    entry: Held | None


def compare(database: Database, origin: str, key: VerifyKey, files: Sequence[Path]) -> Behind:
    """Hold a log against what was seen of it.

    Args:
        database: the log's, audited.
        origin: the log's name.
        key: the log's.
        files: receipts, checkpoints, members' `log.json`.

    Raises:
        SafeRoomError: `BAD_PROOF` if somebody saw another history of the same entries;
            `BAD_SIGNATURE` or `MALFORMED`, naming the file, if it shows nothing of this log.
    """
    with database.read() as connection:
        size = connection.execute(select(func.max(tables.checkpoint.c.size))).scalar_one() or 0
    nodes = Nodes(database)
    shown = [each for path in files for each in _read(path, origin, key)]
    for each in shown:
        seen = each.checkpoint
        if seen.size <= size:
            own = nodes.compute(lambda node, at=seen.size: merkle.root(at, node, key.suite))
            if own != seen.root:
                rule = f"another history of the first {seen.size} entries was seen"
                fault = FieldFault(str(each.where), rule)
                raise SafeRoomError(Reason.BAD_PROOF, f"{each.where}: {rule}", [fault])
    held = {one.entry.index: one.entry for one in shown if one.entry and one.entry.index >= size}
    newest = max((each.checkpoint.size for each in shown), default=None)
    return Behind(size, newest, tuple(held[index] for index in sorted(held)))


def _read(path: Path, origin: str, key: VerifyKey) -> Iterator[_Shown]:
    """Read a file's checkpoints, and the entries that stand in it."""
    try:
        data = path.read_bytes()
        for note, entry in _notes(path, data):
            yield _Shown(path, open_checkpoint(note, origin, key), entry)
    except SafeRoomError as error:
        rule = f"it shows nothing of this log ({error.detail})"
        fault = FieldFault(str(path), rule)
        raise SafeRoomError(error.reason, f"{path}: {rule}", [fault]) from error


def _notes(path: Path, data: bytes) -> Iterator[tuple[str, Held | None]]:
    if not data.lstrip().startswith(b"{"):
        yield data.decode("utf-8", "replace"), None
        return
    try:
        document = cast("dict[str, object]", json.loads(data))
    except ValueError as error:
        raise SafeRoomError(Reason.MALFORMED, "not JSON") from error
    if isinstance(note := document.get("checkpoint"), str):
        yield note, None
        return
    for part in Receipt.from_json(data).parts:
        proof = parse_proof(part.proof)
        what = f"a word of {part.owner}'s enclave on a question"
        yield proof.note, Held(proof.index, what, path)
