"""Receipts that witnesses vouch for: the same words, proven under a head that was cosigned.

A receipt comes with the room's own head, the newest at its time. Some seconds later witnesses have
cosigned a head that extends it, and the receipt can be proven under that one: then it shows,
without the room, that it stands in the one log that everybody sees. Its form stays what it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from saferoom_client.heads import require_extends, require_grown
from saferoom_client.receipt_kinds import ReceiptFile
from saferoom_client.session import Session
from saferoom_proto.batch_receipt import (
    BatchReceipt,
    RowReceipt,
    verify_batch_receipt,
    verify_row_receipt,
)
from saferoom_proto.checkpoint import Checkpoint, format_proof, parse_proof
from saferoom_proto.fit_receipt import FitReceipt, verify_fit_receipt
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.reports.list_receipt import ListReceipt, verify_list_receipt
from saferoom_proto.reports.receipt import ReportReceipt, verify_report_receipt
from saferoom_proto.statements.witnesses import Vouched, Witnessed, WitnessPolicy, vouched_by
from saferoom_proto.tables.receipt import TableReceipt, verify_table_receipt
from saferoom_proto.tables.sum_receipt import SumReceipt, verify_sum_receipt
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseReceipt, verify_use_receipt
from saferoom_proto.v1 import ledger_pb2

AnyReceipt = TypeVar("AnyReceipt", bound=ReceiptFile)

PATIENCE_SECONDS: Final = 30.0
"""Witnesses look every few seconds; what is newer than their last look is waited for so long."""
_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Vouching:
    """Who vouches for one of a receipt's heads.

    Attributes:
        size: entries under it.
        by: the pinned witnesses that cosigned it.
        enough: whether they are as many as were pinned for.
    """

    size: int
    by: tuple[Vouched, ...]
    enough: bool


def no_wait() -> None:
    """Take no notice of waiting."""


async def witness_receipt(
    session: Session,
    receipt: AnyReceipt,
    *,
    waiting: Callable[[], None] = no_wait,
    patience_seconds: float = PATIENCE_SECONDS,
) -> AnyReceipt:
    """Prove a receipt anew under the newest head that the pinned witnesses cosigned.

    Args:
        session: of any member that relies on witnesses.
        receipt: of a check, a batch, a row or a use.
        waiting: is told each time the witnesses have not come as far yet.
        patience_seconds: how long they are waited for.

    Returns:
        The same receipt under that head; it has been verified.

    Raises:
        SafeRoomError: `NOT_WITNESSED` if no witnesses are pinned, or too few cosigned its entries;
            `BAD_PROOF` if it stands in another log than they cosigned.
    """
    if session.reliance.policy is None:
        refusal = SafeRoomError(Reason.NOT_WITNESSED, "no witnesses are pinned in your folder")
        refusal.add_note(f"saferoom trust witness KEY... -p {session.profile.folder}")
        raise refusal
    # Step 1: it is in order as it is.
    verify(receipt, session.profile.trust)
    # Step 2: a cosigned head that covers all of its entries, and extends what it came with.
    old = [_head(proof, session.profile.trust) for proof in _proofs(receipt)]
    places = [parse_proof(proof).index for proof in _proofs(receipt)]
    end = asyncio.get_running_loop().time() + patience_seconds
    while (witnessed := await _cosigned(session)).checkpoint.size < max(head.size for head in old):
        if asyncio.get_running_loop().time() >= end:
            detail = f"witnesses cosigned {witnessed.checkpoint.size} entries; it stands under more"
            raise SafeRoomError(Reason.NOT_WITNESSED, detail)
        waiting()
        await asyncio.sleep(_PAUSE_SECONDS)
    for head in old:
        await require_extends(session, head, witnessed.checkpoint)
    # Step 3: each entry's path to that head, and the whole verified again.
    proofs = [await _proof(session, place, witnessed) for place in places]
    renewed = _renewed(receipt, proofs)
    verify(renewed, session.profile.trust)
    return renewed


def vouching(receipt: ReceiptFile, trust: Trust, policy: WitnessPolicy) -> tuple[Vouching, ...]:
    """Tell, offline, which of the pinned witnesses vouch for each of a receipt's heads.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` for a forged word of one of them.
    """
    told: dict[Checkpoint, Vouching] = {}
    for proof in _proofs(receipt):
        head = _head(proof, trust)
        by = vouched_by(policy.keys, head, parse_proof(proof).note)
        told[head] = Vouching(head.size, by, len(by) >= policy.threshold)
    return tuple(told.values())


def verify(receipt: ReceiptFile, trust: Trust) -> None:
    """Verify a receipt of any kind, offline."""
    match receipt:
        case Receipt():
            verify_receipt(receipt, trust)
        case BatchReceipt():
            verify_batch_receipt(receipt, trust)
        case RowReceipt():
            verify_row_receipt(receipt, trust)
        case UseReceipt():
            verify_use_receipt(receipt, trust)
        case TableReceipt():
            verify_table_receipt(receipt, trust)
        case SumReceipt():
            verify_sum_receipt(receipt, trust)
        case FitReceipt():
            verify_fit_receipt(receipt, trust)
        case ListReceipt():
            verify_list_receipt(receipt, trust)
        case ReportReceipt():
            verify_report_receipt(receipt, trust)


def _proofs(receipt: ReceiptFile) -> tuple[str, ...]:
    if isinstance(receipt, UseReceipt | TableReceipt | FitReceipt | ListReceipt):
        return (receipt.proof,)
    return tuple(part.proof for part in receipt.parts)


def _renewed(receipt: AnyReceipt, proofs: Sequence[str]) -> AnyReceipt:
    if isinstance(receipt, UseReceipt | TableReceipt | FitReceipt | ListReceipt):
        return receipt.model_copy(update={"proof": proofs[0]})
    parts = tuple(
        part.model_copy(update={"proof": proof})
        for part, proof in zip(receipt.parts, proofs, strict=True)
    )
    return receipt.model_copy(update={"parts": parts})


def _head(proof: str, trust: Trust) -> Checkpoint:
    return trust.open_checkpoint(parse_proof(proof).note)


async def _cosigned(session: Session) -> Witnessed:
    witnessed = (await require_grown(session)).witnessed
    if witnessed is None:
        raise SafeRoomError(Reason.NOT_WITNESSED, "no witnesses are pinned")
    return witnessed


async def _proof(session: Session, index: int, witnessed: Witnessed) -> str:
    ask = ledger_pb2.GetInclusionRequest(index=index, size=witnessed.checkpoint.size)
    told = await session.call(session.ledger.GetInclusion, ask)
    return format_proof(index, tuple(told.hashes), witnessed.note)
