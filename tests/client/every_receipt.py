"""A receipt of every kind that one owner can be asked, and both programs that verify them.

Where what a receipt tells makes no difference, it is refused.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, cast

import pytest

from saferoom_client import standalone
from saferoom_proto.answer import Answer, Band, Told, Truth
from saferoom_proto.answer import commitment as committed
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.fit_receipt import FitReceipt, verify_fit_receipt
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, ReceiptPart, verify_receipt
from saferoom_proto.reports.list_receipt import ListReceipt, verify_list_receipt
from saferoom_proto.reports.receipt import (
    ReportReceipt,
    ReportReceiptPart,
    verify_report_receipt,
)
from saferoom_proto.statements import (
    Charge,
    FitRelease,
    FitRequest,
    Outcome,
    Purpose,
    Release,
    seal_statement,
)
from saferoom_proto.tables.receipt import TableReceipt, verify_table_receipt
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt
from saferoom_proto.wire import Recorded
from simulator.sample import Approved
from tests.client.desks import (
    CELLS,
    NAMED,
    STORE,
    Desk,
    batch,
    row,
    table,
    text,
    use,
)
from tests.client.made import NOTHING
from tests.proto.golden_fits import card

VERIFIER: Final = Path(standalone.__file__).with_name("verify_receipt.py")


def check(desk: Desk, handovers: Sequence[Envelope]) -> Receipt:
    return _answered(desk, desk.check, Truth.YES, handovers)


def score(desk: Desk, handovers: Sequence[Envelope]) -> Receipt:
    return _answered(desk, desk.score, Band(2), handovers)


def _answered(desk: Desk, of: Approved, told: Told, handovers: Sequence[Envelope]) -> Receipt:
    request = desk.bank.request(desk.world.subject(1), of.template, of.certificate)
    answer = Answer(told, bytes(32), scored=isinstance(told, Band)).to_bytes()
    word = desk.say(
        Release,
        request=request.digest,
        template=of.template.digest,
        certificate=of.certificate.digest,
        approvals=desk.approvals(of),
        consent=desk.consent.digest,
        store=STORE,
        charges=(Charge(feature=NAMED, cells_before=CELLS[0], cells_after=CELLS[1]),),
        answer=committed(answer),
    )
    part = ReceiptPart.model_validate(
        desk.part(of, word)
        | {
            "agreement": text(desk.agreement),
            "consent": text(desk.consent),
            "answer": b64(answer),
            "handovers": tuple(map(text, handovers)),
        }
    )
    return Receipt.model_validate(desk.head(of, request) | {"parts": (part,)})


def fit(desk: Desk, handovers: Sequence[Envelope]) -> FitReceipt:
    """Have a model trained, and its figures told."""
    asked = desk.bank.about_nobody(desk.fit.template, desk.fit.certificate)
    chosen = {
        "purpose": Purpose.PRODUCT_DESIGN,
        "inverse_ridge": "1",
        "trees": None,
        "leaves": None,
    }
    request = seal_statement(FitRequest.model_validate(asked | chosen, strict=False), desk.bank.key)
    told = card(
        room=desk.world.room,
        request=request.digest,
        template=desk.fit.template.digest,
        epoch=STORE.epoch,
        weights=None,
    ).to_bytes()
    word = desk.say(
        FitRelease,
        request=request.digest,
        template=desk.fit.template.digest,
        certificate=desk.fit.certificate.digest,
        approvals=desk.approvals(desk.fit),
        store=STORE,
        run=1,
        model=NOTHING,
        answer=request.suite.digest(told),
    )
    return FitReceipt.model_validate(
        desk.head(desk.fit, request)
        | desk.part(desk.fit, word)
        | {
            "features": (text(desk.label), text(desk.feature)),
            "agreement": text(desk.agreement),
            "card": told.decode(),
            "handovers": tuple(map(text, handovers)),
        }
    )


def page(desk: Desk, handovers: Sequence[Envelope]) -> ListReceipt:
    """Have a page of a list refused."""
    request = desk.bank.list_request(desk.listing.template, desk.listing.certificate, code="C26")
    word = _refused(desk, desk.listing, request)
    return ListReceipt.model_validate(
        desk.head(desk.listing, request)
        | desk.part(desk.listing, word)
        | {
            "features": (),
            "agreement": text(desk.agreement),
            "page": None,
            "handovers": tuple(map(text, handovers)),
        }
    )


def report(desk: Desk, handovers: Sequence[Envelope]) -> ReportReceipt:
    """Have a report refused."""
    of = desk.report
    request = desk.bank.request(desk.world.subject(1), of.template, of.certificate)
    part = desk.part(of, _refused(desk, of, request)) | {
        "agreement": text(desk.agreement),
        "report": None,
        "handovers": tuple(map(text, handovers)),
    }
    del part["features"]
    return ReportReceipt.model_validate(
        desk.head(of, request) | {"parts": (ReportReceiptPart.model_validate(part),)}
    )


def _refused(desk: Desk, of: Approved, request: Envelope) -> Recorded:
    return desk.say(
        Release,
        request=request.digest,
        template=of.template.digest,
        certificate=of.certificate.digest,
        approvals=(),
        consent=None,
        store=None,
        outcome=Outcome.REFUSED,
        reason=Reason.PAUSED,
        charges=(),
        answer=None,
    )


Written = (
    Receipt
    | BatchReceipt
    | RowReceipt
    | UseReceipt
    | TableReceipt
    | FitReceipt
    | ListReceipt
    | ReportReceipt
)


@dataclass(frozen=True, slots=True)
class KindOf:
    """A kind of receipt: how one is written, read and verified.

    What the program of one file does not verify, it says so of.
    """

    write: Callable[[Desk, Sequence[Envelope]], Written]
    verify: Callable[[bytes, Trust], object]
    in_one_file: bool = True


KINDS: Final = {
    "check": KindOf(check, lambda data, trust: verify_receipt(Receipt.from_json(data), trust)),
    "score": KindOf(score, lambda data, trust: verify_receipt(Receipt.from_json(data), trust)),
    "batch": KindOf(
        batch, lambda data, trust: verify_batch_receipt(BatchReceipt.from_json(data), trust)
    ),
    "row": KindOf(row, lambda data, trust: verify_row_receipt(RowReceipt.from_json(data), trust)),
    "use": KindOf(use, lambda data, trust: verify_use_receipt(UseReceipt.from_json(data), trust)),
    "table": KindOf(
        table,
        lambda data, trust: verify_table_receipt(TableReceipt.from_json(data), trust),
        in_one_file=False,
    ),
    "fit": KindOf(
        fit,
        lambda data, trust: verify_fit_receipt(FitReceipt.from_json(data), trust),
        in_one_file=False,
    ),
    "page": KindOf(
        page,
        lambda data, trust: verify_list_receipt(ListReceipt.from_json(data), trust),
        in_one_file=False,
    ),
    "report": KindOf(
        report,
        lambda data, trust: verify_report_receipt(ReportReceipt.from_json(data), trust),
        in_one_file=False,
    ),
}
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def agree(theirs: ModuleType, kind: KindOf, data: bytes, trust: Trust) -> Reason | None:
    """Have both programs verify a receipt; tells why they refuse it, or nothing."""
    verify = cast("Callable[[bytes, bytes], object]", theirs.verify)
    refused: Reason | None = None
    try:
        kind.verify(data, trust)
    except SafeRoomError as error:
        refused = error.reason
    if refused is not None or not kind.in_one_file:
        with pytest.raises(theirs.Wrong):
            verify(data, trust.model_dump_json().encode())
        return refused
    verify(data, trust.model_dump_json().encode())
    return None


def loaded_verifier(name: str) -> ModuleType:
    """Load the verifier of one file as the program that it is."""
    spec = importlib.util.spec_from_file_location(name, VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
