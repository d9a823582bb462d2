"""What the receipt of one row of a batch verifiably shows, as a page for people.

It shows no other row, as the receipt does not: it is the page for the row's own subject.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from saferoom_client.sheet.facts import (
    Sheet,
    question_section,
    template_section,
    told,
    verification,
)
from saferoom_client.sheet.parts import (
    certified_rows,
    consent,
    enclave,
    heading,
    leave,
    place,
    word,
)
from saferoom_client.sheet.rows import Row, Section
from saferoom_client.sheet.words import Language, say
from saferoom_proto.batch_receipt import (
    RowPart,
    RowReceipt,
    VerifiedRow,
    VerifiedRowPart,
    verify_row_receipt,
)
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charge
from saferoom_proto.trust import Trust


def read_row_sheet(receipt: RowReceipt, trust: Trust, language: Language) -> Sheet:
    """Verify a row's receipt, and tell people what it shows.

    Args:
        receipt: as it was kept.
        trust: the keys to verify it under.
        language: of the page.

    Raises:
        SafeRoomError: as `verify_row_receipt`; then there is no page.
    """
    verified = verify_row_receipt(receipt, trust)
    request = verified.request
    line = say("batch line", language)
    place_in_batch = line.format(row=receipt.index + 1, rows=request.rows)
    return Sheet(
        language=language,
        title=say("title", language),
        lead=say("lead", language),
        truth=verified.answer,
        answer=told(verified, verified.answer, _reasons(verified), language),
        sections=(
            question_section(
                receipt,
                verified,
                verified.row.subject,
                request.params[verified.row.parameters],
                language,
                Row(say("batch", language), place_in_batch),
            ),
            template_section(verified, language),
            *(_part(part, receipt.index, verified, language) for part in receipt.parts),
            verification(receipt.to_json(), trust, verified, language),
        ),
    )


def _reasons(verified: VerifiedRow) -> set[Reason]:
    outcomes = (part.record.outcome for part in verified.parts.values())
    return {each for each in outcomes if isinstance(each, Reason)}


def _part(part: RowPart, index: int, verified: VerifiedRow, language: Language) -> Section:
    said, certified = verified.parts[part.owner], verified.certificate.part(part.owner)
    span = said.release.span_of(index)
    if span is None:
        raise SafeRoomError(Reason.MALFORMED, "the word is about no such row")
    # What the file holds beside these was not verified, and is not shown.
    (charter,) = _named(part.charters, (span.charter,))
    (agreement,) = _named(part.agreements, (span.agreement,))
    answered = said.record.answered
    approvals = _named(part.approvals, span.approvals) if answered else []
    return Section(
        heading(part.owner, charter, language),
        (
            *word(said.record.outcome, said.judged_at, _charges(said, certified), language),
            *certified_rows(part.features, certified, language),
            *leave(charter, approvals, agreement, language),
            *(consent(part.consent, language) if answered else ()),
            *enclave(part.endorsement, span.store, span.stream, language),
            *place(said.release.chain.index, said.index, said.checkpoint, part.proof, language),
        ),
    )


def _charges(said: VerifiedRowPart, certified: OwnerPart) -> list[Charge]:
    if not said.record.answered:
        return []  # a refusal's were not held against the certificate
    return [
        Charge(feature=use.feature, cells_before=before, cells_after=after)
        for use, (before, after) in zip(certified.charged, said.record.charges, strict=True)
    ]


def _named(held: Iterable[str], digests: Collection[str]) -> list[str]:
    """Choose from what a receipt holds what a verified word names, each once."""
    found = {Envelope.from_text(text).digest: text for text in held}
    return [text for digest, text in found.items() if digest in digests]
