"""The files of batches and rows are read strictly: no two readers take one differently."""

from __future__ import annotations

import pytest

from saferoom_proto.batch_receipt import BatchReceipt, RowReceipt
from saferoom_proto.reasons import SafeRoomError
from saferoom_proto.receipt import RECEIPT_LIMIT_BYTES

KINDS = pytest.mark.parametrize("kind", [BatchReceipt, RowReceipt])


@KINDS
@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"request": "one", "request": "another"}', "request"),
        (b'{"parts": [{"salt": "one", "salt": "another"}]}', r"parts\[0\]\.salt"),
    ],
)
def test_a_key_that_stands_twice_is_refused(
    kind: type[BatchReceipt | RowReceipt], data: bytes, place: str
) -> None:
    with pytest.raises(SafeRoomError, match=f"MALFORMED: {place}: the key stands twice"):
        kind.from_json(data)


@KINDS
@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"{", b"\xff", b"null"])
def test_what_is_no_receipt_is_refused(kind: type[BatchReceipt | RowReceipt], data: bytes) -> None:
    with pytest.raises(SafeRoomError, match="MALFORMED"):
        kind.from_json(data)


def test_a_rows_receipt_is_no_larger_than_an_answers() -> None:
    with pytest.raises(SafeRoomError, match="TOO_LARGE"):
        RowReceipt.from_json(b" " * (RECEIPT_LIMIT_BYTES + 1))
