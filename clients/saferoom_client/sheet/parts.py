"""The rows of one owner's part of a receipt, which was verified."""

from __future__ import annotations

import math
from collections.abc import Iterator

from saferoom_client.sheet.rows import Form, Row, Section, moment
from saferoom_client.sheet.words import (
    Language,
    answer,
    in_language,
    level,
    purpose,
    reason,
    say,
)
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.receipt import ReceiptPart, VerifiedPart, VerifiedReceipt
from saferoom_proto.statements import (
    Agreement,
    Approval,
    Charter,
    Consent,
    Endorsement,
    Feature,
    Outcome,
    Release,
    load,
)

_YES_NO = 2


def part_section(part: ReceiptPart, verified: VerifiedReceipt, language: Language) -> Section:
    """Tell what one owner's enclave said, by whose leave, and where it stands."""
    said = verified.parts[part.owner]
    charter = _open(part.charters[-1])
    title = in_language(load(charter, Charter).title, language)
    return Section(
        f"{say('owner', language)}: {part.owner}, {title}",
        (
            *_word(said, language),
            *_certified(part, verified.certificate.part(part.owner), language),
            *_leave(part, said, verified.certificate.part(part.owner), language),
            *_enclave(part, said.release, language),
            *_place(part, said, language),
        ),
    )


def _word(said: VerifiedPart, language: Language) -> Iterator[Row]:
    release = said.release
    word = answer(said.answer, language)
    if release.reason is not None:
        word = f"{word}: {reason(release.reason, language)}"
    yield Row(say("said", language), word)
    yield Row(say("time", language), moment(release.time))
    charges = "\n".join(
        say("charge line", language).format(
            feature=each.feature,
            before=each.cells_before,
            after=each.cells_after,
            bits_before=math.log2(each.cells_before),
            bits_after=math.log2(each.cells_after),
        )
        for each in release.charges
    )
    yield Row(say("charge", language), charges or say("nothing charged", language))


def _certified(part: ReceiptPart, certified: OwnerPart, language: Language) -> Iterator[Row]:
    yield Row(say("part formula", language), certified.formula, Form.CODE)
    leaves = "yes or no" if certified.answers == _YES_NO else "yes, no, or not found"
    most = say("at most", language).format(bits=certified.most_bits)
    yield Row(say("what leaves", language), f"{say(leaves, language)}; {most}")
    for text in part.features:
        feature = load(_open(text), Feature)
        yield Row(
            say("feature", language),
            say("feature line", language).format(
                name=feature.full_name,
                title=in_language(feature.title, language),
                level=level(feature.level, language),
                as_of=feature.as_of.isoformat(),
                version=feature.version,
            ),
        )


def _leave(
    part: ReceiptPart, said: VerifiedPart, certified: OwnerPart, language: Language
) -> Iterator[Row]:
    """Tell by whose leave: of a refusal only the agreement under which it was asked."""
    charter = _open(part.charters[-1])
    terms = load(charter, Charter)
    answered = said.release.outcome is Outcome.ANSWERED
    if answered:
        approvals = [load(_open(text), Approval) for text in part.approvals]
        lines = [
            say("approval line", language).format(approver=each.approver, at=moment(each.at))
            for each in approvals
        ]
        count = say("of needed", language).format(count=len(lines), needed=terms.threshold)
        yield Row(say("approvals", language), "\n".join((*lines, count)))
    yield Row(
        say("charter", language),
        say("charter line", language).format(version=terms.version, digest=charter.digest),
    )
    yield from _agreement(_open(part.agreement), language)
    if not answered:
        return
    if certified.needs_consent and part.consent is not None:
        yield from _consent(_open(part.consent), language)
    else:
        yield Row(say("consent", language), say("no consent needed", language))


def _agreement(envelope: Envelope, language: Language) -> Iterator[Row]:
    agreement = load(envelope, Agreement)
    line = say("agreement line", language).format(
        valid_from=moment(agreement.valid_from),
        valid_to=moment(agreement.valid_to),
        purposes=", ".join(purpose(each, language) for each in agreement.purposes),
        group=agreement.group,
    )
    yield Row(say("agreement", language), f"{line}\n{envelope.digest}")


def _consent(envelope: Envelope, language: Language) -> Iterator[Row]:
    consent = load(envelope, Consent)
    line = say("consent line", language).format(
        valid_from=moment(consent.valid_from),
        valid_to=moment(consent.valid_to),
        purposes=", ".join(purpose(each, language) for each in consent.purposes),
        features=", ".join((*consent.features, *consent.information_types)),
    )
    if consent.paper is None:
        by = say("consent by subject", language)
    else:
        by = say("consent on paper", language).format(
            registrar=consent.paper.registrar, scan=consent.paper.scan
        )
    yield Row(say("consent", language), f"{line}\n{by}\n{envelope.digest}")
    yield Row(say("notice", language), consent.notice, Form.CODE)


def _enclave(part: ReceiptPart, release: Release, language: Language) -> Iterator[Row]:
    envelope = _open(part.endorsement)
    endorsement = load(envelope, Endorsement)
    kind = endorsement.evidence_kind
    told = "evidence software" if kind == "software" else "evidence other"
    yield Row(say("evidence", language), say(told, language).format(kind=kind))
    yield Row(say("code", language), endorsement.code, Form.CODE)
    yield Row(say("dependencies", language), endorsement.dependencies, Form.CODE)
    yield Row(say("sandbox", language), str(endorsement.sandbox_level))
    yield Row(say("endorsement", language), envelope.digest, Form.CODE)
    store = release.store
    yield Row(
        say("store", language),
        say("no store", language)
        if store is None
        else say("store line", language).format(epoch=store.epoch, digest=store.digest),
    )
    yield Row(
        say("stream", language),
        say("stream line", language).format(
            sequence=release.stream.sequence, running=release.stream.running
        ),
    )


def _place(part: ReceiptPart, said: VerifiedPart, language: Language) -> Iterator[Row]:
    release, checkpoint = said.release, said.checkpoint
    if release.answer is not None:
        yield Row(say("commitment", language), release.answer, Form.CODE)
    yield Row(say("chain", language), str(release.chain.index))
    yield Row(
        say("log", language),
        say("log line", language).format(
            index=said.index, size=checkpoint.size, root=b64(checkpoint.root)
        ),
    )
    yield Row(say("proof", language), part.proof, Form.BLOCK)


def _open(text: str) -> Envelope:
    return Envelope.from_json(text.encode())
