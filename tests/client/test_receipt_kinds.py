"""A file says which kind of receipt it holds; one that says none is told what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saferoom_client.cli.output import notes_of
from saferoom_client.cli.receipt_kinds import kind_of, require_kind
from saferoom_client.receipt_kinds import Kind
from saferoom_proto.batch_receipt import BatchReceipt, RowReceipt
from saferoom_proto.fit_receipt import FitReceipt
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt
from saferoom_proto.reports.list_receipt import ListReceipt
from saferoom_proto.reports.receipt import ReportReceipt
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.sum_receipt import SumReceipt
from saferoom_proto.use_receipt import UseReceipt

FILE = Path("receipt.json")


def test_the_kinds_are_those_that_are_written() -> None:
    written = (
        Receipt,
        BatchReceipt,
        RowReceipt,
        UseReceipt,
        TableReceipt,
        ReportReceipt,
        ListReceipt,
        FitReceipt,
        SumReceipt,
    )
    assert [each.model_fields["format"].default for each in written] == list(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_found_wherever_it_stands(kind: Kind) -> None:
    first = json.dumps({"format": kind, "request": "{}"}).encode()
    last = json.dumps({"a": "b" * 4096, "format": kind}, indent=1).encode()
    assert kind_of(FILE, first) is kind_of(FILE, last) is kind


@pytest.mark.parametrize("data", [b"hi", b"", b"{}", b'{"format": "other/v1"}', b"\xff", b"[1]"])
def test_what_is_no_receipt_is_told_so(data: bytes) -> None:
    with pytest.raises(SafeRoomError) as refused:
        kind_of(FILE, data)
    assert refused.value.reason is Reason.MALFORMED
    assert refused.value.fields[0].field == str(FILE)
    assert "--receipt" in notes_of(refused.value)[0]


def test_another_kind_leads_to_what_helps() -> None:
    batch = json.dumps({"format": Kind.BATCH}).encode()
    with pytest.raises(SafeRoomError) as refused:
        require_kind(FILE, batch, Kind.CHECK, Kind.ROW)
    (step,) = notes_of(refused.value)
    assert step.startswith("saferoom receipt row receipt.json")
    use = json.dumps({"format": Kind.USE}).encode()
    with pytest.raises(SafeRoomError) as refused:
        require_kind(FILE, use, Kind.CHECK)
    assert notes_of(refused.value) == ["saferoom receipt verify receipt.json"]
