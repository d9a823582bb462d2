"""A load's pieces open in their order, once, under the load's own key; else not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saferoom_proto.load import PIECE_BYTES, LoadHeader, LoadOpener, LoadSealer, LoadTable
from saferoom_proto.reasons import Reason, SafeRoomError

SCHEMA = "sha256:" + "1" * 64
KEY = bytes(range(32))


def header(*sizes: int) -> LoadHeader:
    tables = tuple(LoadTable.of(f"table_{index}", size) for index, size in enumerate(sizes))
    return LoadHeader("tax", SCHEMA, tables)


def seal_all(what: LoadHeader, tables: list[bytes], key: bytes = KEY) -> list[bytes]:
    sealer = LoadSealer(what.digest, key)
    return [piece for index, data in enumerate(tables) for piece in sealer.table(index, data)]


def refused(reason: Reason) -> pytest.RaisesExc[SafeRoomError]:
    return pytest.raises(SafeRoomError, match=f"^{reason}")


@given(st.lists(st.binary(max_size=64), min_size=1, max_size=4))
def test_what_was_sealed_comes_out_table_by_table(tables: list[bytes]) -> None:
    what = header(*(len(data) for data in tables))
    opener = LoadOpener(what, KEY)
    opened = [opener.open(piece) for piece in seal_all(what, tables)]
    opener.finish()
    assert [(piece.table, piece.data) for piece in opened] == [
        (f"table_{index}", data) for index, data in enumerate(tables)
    ]


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_a_table_is_cut_into_as_many_pieces_as_it_announced(size: int) -> None:
    what = header(size)
    data = bytes(range(256)) * (size // 256 + 1)
    pieces = seal_all(what, [data[:size]])
    assert len(pieces) == what.tables[0].pieces
    opener = LoadOpener(what, KEY)
    assert b"".join(opener.open(piece).data for piece in pieces) == data[:size]


def test_a_piece_that_was_dropped_repeated_moved_or_altered_is_refused() -> None:
    what = header(2 * PIECE_BYTES, 3)
    pieces = seal_all(what, [bytes(2 * PIECE_BYTES), b"abc"])
    first, second, third = pieces
    altered = first[:-1] + bytes([first[-1] ^ 1])
    for wrong in ([second], [first, first], [first, third], [altered], [first[:-1]]):
        opener = LoadOpener(what, KEY)
        with refused(Reason.BAD_SEAL):
            for piece in wrong:
                opener.open(piece)


def test_a_load_that_ends_early_or_goes_on_is_refused() -> None:
    what = header(3, 3)
    pieces = seal_all(what, [b"abc", b"def"])
    opener = LoadOpener(what, KEY)
    opener.open(pieces[0])
    with refused(Reason.BAD_SEAL):
        opener.finish()
    opener.open(pieces[1])
    with refused(Reason.BAD_SEAL):
        opener.open(pieces[1])


def test_a_last_piece_does_not_pass_for_one_with_more_to_come() -> None:
    short, long = header(3), header(2 * PIECE_BYTES)
    piece = LoadSealer(long.digest, KEY).piece(0, 0, b"abc", last=True)
    with refused(Reason.BAD_SEAL):
        LoadOpener(long, KEY).open(piece)
    with refused(Reason.BAD_SEAL):
        LoadOpener(short, KEY).open(piece)


def test_a_piece_past_its_size_is_neither_sealed_nor_opened() -> None:
    what = header(PIECE_BYTES + 1)
    with refused(Reason.TOO_LARGE):
        LoadSealer(what.digest, KEY).piece(0, 0, bytes(PIECE_BYTES + 1), last=False)
    with refused(Reason.TOO_LARGE):
        LoadOpener(what, KEY).open(bytes(PIECE_BYTES + 17))


def test_a_load_without_tables_or_with_one_twice_is_refused() -> None:
    twice = (LoadTable("vat", 1), LoadTable("vat", 1))
    for tables in ((), twice):
        with refused(Reason.MALFORMED):
            LoadHeader("tax", SCHEMA, tables)
    with refused(Reason.MALFORMED):
        LoadTable("vat", 0)


def test_neither_keys_nor_records_have_a_text_form() -> None:
    what = header(6)
    piece = LoadOpener(what, KEY).open(seal_all(what, [b"record"])[0])
    shown = f"{piece!r} {piece} {LoadSealer(what.digest, KEY)!r} {LoadOpener(what, KEY)!r}"
    assert "record" not in shown
    assert KEY.hex() not in shown
