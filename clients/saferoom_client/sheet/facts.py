"""What a receipt verifiably shows, as rows for people.

Nothing is shown that `verify_receipt` did not check: of a refusal it looks at no approval and no
consent, so none of these is shown for one, whatever stands in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from saferoom_client.sheet.parts import part_section
from saferoom_client.sheet.rows import Form, Row, Section, moment
from saferoom_client.sheet.words import Language, answer, in_language, purpose, reason, say
from saferoom_proto.answer import Band, Told
from saferoom_proto.batch_receipt import RowReceipt, VerifiedRow
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import Receipt, VerifiedReceipt, verify_receipt
from saferoom_proto.statements import Returns
from saferoom_proto.statements.request import ParameterValue
from saferoom_proto.trust import Trust


@dataclass(frozen=True, slots=True)
class Sheet:
    """A receipt's page.

    Attributes:
        language: it is written in.
        title: of the page.
        lead: what the page is.
        truth: the answer; none for a refusal.
        answer: the same in words, with the reason of a refusal.
        sections: everything else.
    """

    language: Language
    title: str
    lead: str
    truth: Told | None
    answer: str
    sections: tuple[Section, ...]

    @property
    def tone(self) -> str:
        """How the answer is set off: as yes, no, not found, or refused; a band as not found."""
        if isinstance(self.truth, Band):
            return "not_found"
        return "refused" if self.truth is None else str(self.truth)


def read_sheet(receipt: Receipt, trust: Trust, language: Language) -> Sheet:
    """Verify a receipt, and tell people what it shows.

    Args:
        receipt: as it was kept.
        trust: the keys to verify it under.
        language: of the page.

    Raises:
        SafeRoomError: as `verify_receipt`; then there is no page.
    """
    verified = verify_receipt(receipt, trust)
    request = verified.request
    parts = tuple(part_section(part, verified, language) for part in receipt.parts)
    return Sheet(
        language=language,
        title=say("title", language),
        lead=say("lead", language),
        truth=verified.answer,
        answer=told(verified, verified.answer, _reasons(verified), language),
        sections=(
            question_section(receipt, verified, request.subject, request.params, language),
            template_section(verified, language),
            *parts,
            verification(receipt.to_json(), trust, verified, language),
        ),
    )


def _reasons(verified: VerifiedReceipt) -> set[Reason]:
    return {
        part.release.reason for part in verified.parts.values() if part.release.reason is not None
    }


def told(
    verified: VerifiedReceipt | VerifiedRow,
    truth: Told | None,
    reasons: Iterable[Reason],
    language: Language,
) -> str:
    """Say the answer, with the reasons of a score; or why there is none."""
    said, score = answer(truth, language), verified.template.score
    if score is not None and isinstance(truth, Band) and truth.lost:
        named = ", ".join(score.named(truth.lost))
        said = f"{said}; {say('raised most by', language).format(features=named)}"
    why = "; ".join(reason(each, language) for each in sorted(reasons))
    return f"{said}: {why}" if why else said


def question_section(
    receipt: Receipt | RowReceipt,
    verified: VerifiedReceipt | VerifiedRow,
    subject: str,
    params: Mapping[str, ParameterValue],
    language: Language,
    *more: Row,
) -> Section:
    """Tell what was asked: about whom, with which parameters, and `more` of where it stood."""
    request = verified.request
    given = ", ".join(f"{name} = {value}" for name, value in params.items())
    untold = "blind" if verified.template.returns is Returns.BLIND else "none"
    keys = ", ".join(each.keyid for each in Envelope.from_text(receipt.request).signatures)
    return Section(
        say("question", language),
        (
            Row(say("institution", language), request.institution),
            Row(say("subject", language), subject, Form.CODE),
            Row(say("purpose", language), purpose(request.purpose, language)),
            Row(say("params", language), given or say(untold, language)),
            Row(
                say("window", language),
                f"{moment(request.not_before)} - {moment(request.not_after)}",
            ),
            *more,
            Row(say("request id", language), verified.request_id, Form.CODE),
            Row(say("request key", language), keys, Form.CODE),
        ),
    )


def template_section(verified: VerifiedReceipt | VerifiedRow, language: Language) -> Section:
    """Tell what the template is that was asked by."""
    template = verified.template
    formula = " ".join(template.check.split())
    if template.score is not None:
        formula = say("score", language).format(model=template.score.model)
    return Section(
        say("template", language),
        (
            Row(say("name", language), f"{template.name}: {in_language(template.title, language)}"),
            Row(say("formula", language), formula, Form.CODE),
            Row(say("proposer", language), template.proposer),
            Row(
                say("purposes", language),
                ", ".join(purpose(each, language) for each in template.purposes),
            ),
            Row(say("template digest", language), verified.request.template, Form.CODE),
            Row(say("certificate digest", language), verified.certificate.digest, Form.CODE),
        ),
    )


def verification(
    file: bytes, trust: Trust, verified: VerifiedReceipt | VerifiedRow, language: Language
) -> Section:
    """Tell what was verified, and how to do it again."""
    checked = "checked refusal" if verified.answer is None else "checked answer"
    roots = tuple(
        Row(say("root", language).format(owner=owner), trust.charter_roots[owner], Form.CODE)
        for owner in verified.parts
    )
    return Section(
        say("verification", language),
        (
            Row(say("what was verified", language), say(checked, language)),
            Row(say("verification", language), say("verify steps", language)),
            Row(
                say("command", language),
                "saferoom receipt verify receipt.json -p MEMBER\n"
                "saferoom receipt verify receipt.json --trust trust.json",
                Form.BLOCK,
            ),
            Row(
                say("file digest", language),
                hashlib.sha256(file).hexdigest(),
                Form.CODE,
            ),
            Row(say("origin", language), trust.origin, Form.CODE),
            Row(say("ledger key", language), trust.ledger_key, Form.CODE),
            *roots,
        ),
    )
