"""The kinds of receipts, by the format that each file names."""

from __future__ import annotations

from enum import StrEnum

from saferoom_proto.batch_receipt import BatchReceipt, RowReceipt
from saferoom_proto.fit_receipt import FitReceipt
from saferoom_proto.receipt import Receipt
from saferoom_proto.reports.list_receipt import ListReceipt
from saferoom_proto.reports.receipt import ReportReceipt
from saferoom_proto.tables.receipt import TableReceipt
from saferoom_proto.tables.sum_receipt import SumReceipt
from saferoom_proto.use_receipt import UseReceipt

ReceiptFile = (
    Receipt
    | BatchReceipt
    | RowReceipt
    | UseReceipt
    | TableReceipt
    | ReportReceipt
    | ListReceipt
    | FitReceipt
    | SumReceipt
)


class Kind(StrEnum):
    """Of what a file is the receipt."""

    CHECK = "saferoom-receipt/v1"
    BATCH = "saferoom-batch-receipt/v1"
    ROW = "saferoom-row-receipt/v1"
    USE = "saferoom-use/v1"
    TABLE = "saferoom-table-receipt/v1"
    REPORT = "saferoom-report-receipt/v1"
    LIST = "saferoom-list-receipt/v1"
    FIT = "saferoom-fit-receipt/v1"
    SUM = "saferoom-sum-receipt/v1"
