"""Which kind of receipt a file holds, as it says itself; reading it shows whether it is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from saferoom_client.receipt_kinds import Kind, ReceiptFile
from saferoom_client.tongue import later
from saferoom_proto.batch_receipt import BatchReceipt, RowReceipt
from saferoom_proto.encoding import parse_object
from saferoom_proto.fit_receipt import FitReceipt
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.receipt import Receipt
from saferoom_proto.reports.list_receipt import ListReceipt
from saferoom_proto.reports.receipt import ReportReceipt
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.sum_receipt import SumReceipt
from saferoom_proto.trust import UnpinnedError
from saferoom_proto.use_receipt import UseReceipt

_HEAD_BYTES: Final = 200
_FORMAT: Final = re.compile(rb'"format"\s*:\s*"([^"]{1,80})"')
"""Where we write it: a batch's receipt, of up to 200 MB, is not parsed twice to find it."""


_OF_CHECK: Final = later("Give the file that `saferoom check --receipt` wrote, as it is.")


_READERS: Final[dict[Kind, Callable[[bytes], ReceiptFile]]] = {
    Kind.CHECK: Receipt.from_json,
    Kind.BATCH: BatchReceipt.from_json,
    Kind.ROW: RowReceipt.from_json,
    Kind.USE: UseReceipt.from_json,
    Kind.TABLE: TableReceipt.from_json,
    Kind.REPORT: ReportReceipt.from_json,
    Kind.FIT: FitReceipt.from_json,
    Kind.SUM: SumReceipt.from_json,
    Kind.LIST: ListReceipt.from_json,
}


def kind_of(path: Path, data: bytes) -> Kind:
    """Tell which kind of receipt a file's content says it is.

    Raises:
        SafeRoomError: `MALFORMED` naming the file, and what to give instead.
    """
    head = _FORMAT.search(data[:_HEAD_BYTES])
    try:
        named = head[1].decode("ascii") if head else parse_object(data).get("format")
        return Kind(str(named))
    except SafeRoomError as error:
        raise _unusable(path, f"not a receipt: {error.detail}") from error
    except ValueError as error:
        raise _unusable(path, later("not a receipt: it names no format of one")) from error


def read_receipt(path: Path, data: bytes) -> ReceiptFile:
    """Read a receipt of any kind.

    Raises:
        SafeRoomError: `MALFORMED` naming the file, or the field.
    """
    return _READERS[kind_of(path, data)](data)


def require_kind(path: Path, data: bytes, *wanted: Kind) -> Kind:
    """Give the kind of a file's receipt, if it is one of those that a command takes.

    Raises:
        SafeRoomError: `MALFORMED`, with what helps.
    """
    kind = kind_of(path, data)
    if kind in wanted:
        return kind
    match kind:
        case Kind.BATCH:
            refusal = _unusable(path, later("it is the receipt of a whole batch"), step=False)
            refusal.add_note(f"saferoom receipt row {path} --subject USCC --out row.json")
        case Kind.USE:
            refusal = _unusable(path, later("it is the receipt of a use"), step=False)
            refusal.add_note(f"saferoom receipt verify {path}")
        case Kind.TABLE | Kind.SUM:
            refusal = _unusable(path, later("it is the receipt of tables"), step=False)
            refusal.add_note(f"saferoom receipt verify {path}")
        case Kind.FIT:
            refusal = _unusable(path, later("it is the receipt of a training"), step=False)
            refusal.add_note(f"saferoom receipt verify {path}")
        case Kind.REPORT:
            refusal = _unusable(path, later("it is the receipt of a report"), step=False)
            refusal.add_note(f"saferoom receipt verify {path}")
        case Kind.LIST:
            refusal = _unusable(path, later("it is the receipt of a page of a list"), step=False)
            refusal.add_note(f"saferoom receipt verify {path}")
        case _ if Kind.LIST in wanted:
            refusal = _unusable(path, later("it is no receipt of a list"), step=False)
            refusal.add_note(later("Give the file that `saferoom listing ask --receipt` wrote."))
        case _ if Kind.REPORT in wanted:
            refusal = _unusable(path, later("it is no receipt of a report"), step=False)
            refusal.add_note(later("Give the file that `saferoom report ask --receipt` wrote."))
        case _:
            refusal = _unusable(path, f"it is a receipt of another kind: {kind}", step=False)
            refusal.add_note(
                later("Give the receipt that `saferoom check --file` wrote, as it is.")
                if Kind.BATCH in wanted
                else _OF_CHECK
            )
    raise refusal


@contextmanager
def naming(path: Path, profile: Path | None) -> Generator[None]:
    """Name the file of a receipt that does not verify, and where its owner's root goes."""
    try:
        yield
    except SafeRoomError as error:
        if error.fields:
            raise
        named = SafeRoomError(error.reason, f"{path}: {error.detail}")
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        if isinstance(error, UnpinnedError) and profile is not None:
            named.add_note(later("Pin its charter root, which the owner gives you itself."))
            named.add_note(f"saferoom trust pin {error.owner} ROOT -p {profile}")
        raise named from error


def _unusable(path: Path, rule: str, *, step: bool = True) -> SafeRoomError:
    refusal = SafeRoomError(Reason.MALFORMED, f"{path}: {rule}", [FieldFault(str(path), rule)])
    if step:
        refusal.add_note(_OF_CHECK)
    return refusal
