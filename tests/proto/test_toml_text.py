from __future__ import annotations

import time

import pytest

from saferoom_proto.toml_text import LIMIT_BYTES, read_toml


def test_settings_are_read_as_they_are_written() -> None:
    told = read_toml(b'origin = "room.example"\n[limits]\ncalls = 8\n')
    assert told == {"origin": "room.example", "limits": {"calls": 8}}


@pytest.mark.parametrize(
    "bomb",
    [
        b"a = " + b"[" * 8000,
        b"a = " + b"[" * 100 + b"]" * 100,
        b"a = " + b"{a = " * 2000 + b"1" + b"}" * 2000,
        b"[" + b".".join([b"a"] * 8000) + b"]",
        b"a = " + b"9" * 5000,
        b"a = 1\na = 2",
        "a = 1".encode("utf-16"),
        b"a = \xff",
        b"a = 1\n" + b"#" * LIMIT_BYTES,
    ],
    ids=["open", "deep", "tables", "path", "integer", "twice", "utf-16", "bytes", "long"],
)
def test_what_could_stop_a_reader_is_refused(bomb: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_toml(bomb)


def test_the_worst_text_takes_seconds_and_not_minutes() -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="nested"):
        read_toml(b".".join([b"a"] * (LIMIT_BYTES // 2 - 2)) + b" = 1")
    assert time.process_time() - began < 20
