"""Step 2 of a batch: its rows are those that were signed, and each is what a row may be."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saferoom_enclaves.batches.admit import Places, Wanted
from saferoom_proto.batch import ROW_BYTES, asked_leaves
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import BatchRequest
from saferoom_proto.suite import suite_of
from saferoom_proto.tree import Tree
from saferoom_proto.uscc import (
    ALPHABET,
    BASE,
    ORGANISATION_CHECKS,
    ORGANISATION_WEIGHTS,
    SUBJECT_BYTES,
    parse_uscc,
)

_ROW: Final = struct.Struct(f">{SUBJECT_BYTES}sH")

# A code's form, as `saferoom_proto.uscc` has it, for many codes at once.
_NONE: Final = 255
_MODULUS: Final = len(ALPHABET)
_CHECK: Final = SUBJECT_BYTES - 1
_WEIGHTS: Final = np.array([pow(BASE, at, _MODULUS) for at in range(_CHECK)], dtype=np.int64)
_ORGANISATION_WEIGHTS: Final = np.array(ORGANISATION_WEIGHTS, dtype=np.int64)
_ORGANISATION_CHECKS: Final = np.frombuffer(ORGANISATION_CHECKS.encode(), dtype=np.uint8)


def _table(values: dict[int, int]) -> NDArray[np.uint8]:
    table = np.full(256, _NONE, dtype=np.uint8)
    for char, value in values.items():
        table[char] = value
    return table


_VALUES: Final = _table({ord(char): at for at, char in enumerate(ALPHABET)})
_BASE36: Final = _table({ord(char): int(char, 36) for char in ALPHABET})


class Rows:
    """The rows of a batch that were found to be those that were signed.

    Args:
        request: the batch's.
        blinding: the key of the blinds.
        packed: the rows.

    Raises:
        SafeRoomError: `MALFORMED` for another number of rows or a set of parameters that is not
            there; `MALFORMED_SUBJECT`; `BAD_PROOF` for rows that were not signed.
    """

    def __init__(self, request: BatchRequest, blinding: bytes, packed: bytes) -> None:
        if len(packed) != request.rows * ROW_BYTES:
            raise SafeRoomError(Reason.MALFORMED, f"not the {request.rows} rows that were signed")
        suite = suite_of(request.root)
        root = Tree(asked_leaves(blinding, packed, suite), suite).root
        if suite.named(root) != request.root:
            raise SafeRoomError(Reason.BAD_PROOF, "not the rows that were signed")
        _require_rows(packed, len(request.params))
        self.packed: Final = packed
        self.repeated: Final = _repeated(packed)
        """Indexes of the rows that stand earlier in the batch, too."""

    def slice(self, first: int, count: int) -> bytes:
        """Give some rows that follow each other."""
        return self.packed[first * ROW_BYTES : (first + count) * ROW_BYTES]


def groups(rows: bytes, repeated: AbstractSet[int]) -> Iterator[Wanted]:
    """Group the rows of a chunk: the same parameters in each group, and no subject twice.

    A subject's later rows come in later groups, so that each is charged after those before it.

    Args:
        rows: packed.
        repeated: places of rows that are left out.
    """
    unpacked = list(_ROW.iter_unpack(rows))
    later: dict[bytes, int] = {}
    grouped: dict[tuple[int, int], list[int]] = {}
    for place, (subject, parameters) in enumerate(unpacked):
        if place in repeated:
            continue
        turn = later.get(subject, 0)
        later[subject] = turn + 1
        grouped.setdefault((turn, parameters), []).append(place)
    for (_, parameters), places in sorted(grouped.items()):
        subjects = [unpacked[place][0] for place in places]
        yield Wanted(parameters, np.array(places, dtype=np.int64), subjects)


def places_of(rows: AbstractSet[int], first: int, count: int) -> Places:
    """Give which of some rows, by index in the batch, lie in a chunk, by place in the chunk."""
    inside = [index - first for index in rows if first <= index < first + count]
    return np.array(sorted(inside), dtype=np.int64)


def _repeated(packed: bytes) -> frozenset[int]:
    rows = [row for (row,) in struct.iter_unpack(f"{ROW_BYTES}s", packed)]
    if len(set(rows)) == len(rows):
        return frozenset()
    seen: set[bytes] = set()
    again: set[int] = set()
    for index, row in enumerate(rows):
        if row in seen:
            again.add(index)
        seen.add(row)
    return frozenset(again)


def _require_rows(packed: bytes, parameters: int) -> None:
    rows = np.frombuffer(packed, dtype=np.uint8).reshape(-1, ROW_BYTES)
    sets = rows[:, SUBJECT_BYTES].astype(np.int64) * 256 + rows[:, SUBJECT_BYTES + 1]
    if len(odd := np.flatnonzero(sets >= parameters)):
        fault = FieldFault(f"rows[{odd[0]}]", "it names no parameters of its batch")
        raise SafeRoomError(Reason.MALFORMED, fault.rule, [fault])
    codes = rows[:, :SUBJECT_BYTES]
    values = _VALUES[codes].astype(np.int64)
    sound = (values != _NONE).all(axis=1) & (values[:, 2:8] < 10).all(axis=1)  # noqa: PLR2004
    organisation = _BASE36[codes[:, 8:16]].astype(np.int64) @ _ORGANISATION_WEIGHTS
    sound &= _ORGANISATION_CHECKS[organisation % len(ORGANISATION_CHECKS)] == codes[:, 16]
    sound &= (values[:, :_CHECK] @ _WEIGHTS + values[:, _CHECK]) % _MODULUS == 0
    if len(odd := np.flatnonzero(~sound)):
        _refuse_subject(int(odd[0]), codes[odd[0]].tobytes())


def _refuse_subject(index: int, code: bytes) -> None:
    """Refuse a subject with the rule that it breaks."""
    try:
        parse_uscc(code.decode("latin-1"))
    except SafeRoomError as error:
        faults = [FieldFault(f"rows[{index}]", fault.rule) for fault in error.fields]
        raise SafeRoomError(error.reason, error.detail, faults) from None
    rule = "18 characters in upper case"
    raise SafeRoomError(Reason.MALFORMED_SUBJECT, rule, [FieldFault(f"rows[{index}]", rule)])
