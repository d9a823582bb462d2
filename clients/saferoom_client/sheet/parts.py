"""The rows of one owner's part of a receipt, of a question or a batch's row, which was verified."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime

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
from saferoom_proto.answer import Told
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import ReceiptPart, VerifiedPart, VerifiedReceipt
from saferoom_proto.statements import (
    Agreement,
    Approval,
    Charge,
    Charter,
    Consent,
    Endorsement,
    Feature,
    Outcome,
    StoreState,
    StreamPosition,
    load,
)

_YES_NO = 2


def part_section(part: ReceiptPart, verified: VerifiedReceipt, language: Language) -> Section:
    """Tell what one owner's enclave said, by whose leave, and where it stands."""
    said = verified.parts[part.owner]
    release, certified = said.release, verified.certificate.part(part.owner)
    outcome = release.reason if said.answer is None else said.answer
    return Section(
        heading(part.owner, part.charters[-1], language),
        (
            *word(outcome, release.time, release.charges, language),
            *certified_rows(part.features, certified, language),
            *_leave(part, said, certified, language),
            *enclave(part.endorsement, release.store, release.stream, language),
            *_place(part, said, language),
        ),
    )


def heading(owner: str, charter: str, language: Language) -> str:
    """Name an owner, with its title from its charter."""
    title = in_language(load(Envelope.from_text(charter), Charter).title, language)
    return f"{say('owner', language)}: {owner}, {title}"


def word(
    outcome: Told | Reason | None, at: datetime, charges: Iterable[Charge], language: Language
) -> Iterator[Row]:
    """Tell what an enclave said, when, and what that told."""
    said = answer(None if isinstance(outcome, Reason) else outcome, language)
    if isinstance(outcome, Reason):
        said = f"{said}: {reason(outcome, language)}"
    yield Row(say("said", language), said)
    yield Row(say("time", language), moment(at))
    lines = "\n".join(
        say("charge line", language).format(
            feature=each.feature,
            before=each.cells_before,
            after=each.cells_after,
            bits_before=math.log2(each.cells_before),
            bits_after=math.log2(each.cells_after),
        )
        for each in charges
    )
    yield Row(say("charge", language), lines or say("nothing charged", language))


def certified_rows(
    features: Iterable[str], certified: OwnerPart, language: Language
) -> Iterator[Row]:
    """Tell what an owner's part of the formula is, what it can let out, and what it uses."""
    formula, score = certified.formula, certified.score
    leaves = "yes or no" if certified.answers == _YES_NO else "yes, no, or not found"
    leaves = leaves if certified.charter is None else "a share"
    if score is not None:
        edges = ", ".join(map(str, score.edges))
        formula = say("score part", language).format(model=score.model, edges=edges)
        leaves = "a band, or not found" if score.silent else "a band"
        leaves = "a share of a band" if certified.shared else leaves
    yield Row(say("part formula", language), formula, Form.CODE)
    most = say("at most", language).format(bits=certified.most_bits)
    yield Row(say("what leaves", language), f"{say(leaves, language)}; {most}")
    for text in features:
        feature = load(Envelope.from_text(text), Feature)
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
    answered = said.release.outcome is Outcome.ANSWERED
    approvals = part.approvals if answered else ()
    yield from leave(part.charters[-1], approvals, part.agreement, language)
    if answered:
        yield from consent(part.consent if certified.needs_consent else None, language)


def leave(
    charter: str, approvals: Iterable[str], agreement: str, language: Language
) -> Iterator[Row]:
    """Tell under which charter, approvals and agreement an enclave spoke."""
    envelope = Envelope.from_text(charter)
    terms = load(envelope, Charter)
    lines = [
        say("approval line", language).format(approver=each.approver, at=moment(each.at))
        for each in (load(Envelope.from_text(text), Approval) for text in approvals)
    ]
    if lines:
        count = say("of needed", language).format(count=len(lines), needed=terms.threshold)
        yield Row(say("approvals", language), "\n".join((*lines, count)))
    yield Row(
        say("charter", language),
        say("charter line", language).format(version=terms.version, digest=envelope.digest),
    )
    yield from _agreement(Envelope.from_text(agreement), language)


def consent(text: str | None, language: Language) -> Iterator[Row]:
    """Tell which consent an answer was given under; none where none is needed."""
    if text is None:
        yield Row(say("consent", language), say("no consent needed", language))
    else:
        yield from _consent(Envelope.from_text(text), language)


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
    given = load(envelope, Consent)
    line = say("consent line", language).format(
        valid_from=moment(given.valid_from),
        valid_to=moment(given.valid_to),
        purposes=", ".join(purpose(each, language) for each in given.purposes),
        features=", ".join((*given.features, *given.information_types)),
    )
    if given.paper is None:
        by = say("consent by subject", language)
    else:
        by = say("consent on paper", language).format(
            registrar=given.paper.registrar, scan=given.paper.scan
        )
    yield Row(say("consent", language), f"{line}\n{by}\n{envelope.digest}")
    yield Row(say("notice", language), given.notice, Form.CODE)


def enclave(
    endorsed: str, store: StoreState | None, stream: StreamPosition, language: Language
) -> Iterator[Row]:
    """Tell which enclave spoke, from which store, and how far it had followed its stream."""
    envelope = Envelope.from_text(endorsed)
    endorsement = load(envelope, Endorsement)
    kind = endorsement.evidence_kind
    told = "evidence software" if kind == "software" else "evidence other"
    yield Row(say("evidence", language), say(told, language).format(kind=kind))
    yield Row(say("code", language), endorsement.code, Form.CODE)
    yield Row(say("dependencies", language), endorsement.dependencies, Form.CODE)
    yield Row(say("sandbox", language), str(endorsement.sandbox_level))
    yield Row(say("endorsement", language), envelope.digest, Form.CODE)
    yield Row(
        say("store", language),
        say("no store", language)
        if store is None
        else say("store line", language).format(epoch=store.epoch, digest=store.digest),
    )
    yield Row(
        say("stream", language),
        say("stream line", language).format(sequence=stream.sequence, running=stream.running),
    )


def _place(part: ReceiptPart, said: VerifiedPart, language: Language) -> Iterator[Row]:
    release = said.release
    if release.answer is not None:
        yield Row(say("commitment", language), release.answer, Form.CODE)
    yield from place(release.chain.index, said.index, said.checkpoint, part.proof, language)


def place(
    chained: int, index: int, head: Checkpoint, proof: str, language: Language
) -> Iterator[Row]:
    """Tell where an enclave's word stands: in its own chain, and in the room's log."""
    yield Row(say("chain", language), str(chained))
    yield Row(
        say("log", language),
        say("log line", language).format(index=index, size=head.size, root=b64(head.root)),
    )
    yield Row(say("proof", language), proof, Form.BLOCK)
