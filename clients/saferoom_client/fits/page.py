"""A model card of a training in the room, as one page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.band_words import bands_section, spent_words
from saferoom_client.report.pdf import pdf
from saferoom_client.sheet.render import html
from saferoom_client.sheet.rows import Form, Page, Row, Section, moment
from saferoom_client.tongue import later, say, spoken
from saferoom_proto.fit_receipt import VerifiedFit
from saferoom_proto.fits import ModelCard

USES: Final = (
    later("To score by bands, under a template of its own and with each subject's consent."),
    later("To see how far the owner's records foretell the label."),
)
LIMITS: Final = (
    later("It was measured once, on rows held out of the same records; others may differ."),
    later("The attack on membership goes by the loss alone: better ones may tell more."),
    later("Labels and columns are as the owner holds them; nobody else can check them."),
)


def page_of(verified: VerifiedFit) -> Page:
    """Make the page in the language that is spoken.

    Raises:
        SafeRoomError: `NOT_INSTALLED` where there are bands, and nothing to draw them with.
    """
    card = verified.card
    return Page(
        language=spoken(),
        title=say("Model of {template}", template=verified.template.name),
        lead=_lead(verified),
        tone="refused" if card is None else "yes",
        answer=_answer(verified, card),
        sections=() if card is None else tuple(_sections(verified, card)),
    )


def write_page(verified: VerifiedFit) -> bytes:
    """Write the page as HTML; as `page_of`."""
    return html(page_of(verified)).encode()


def write_pdf(verified: VerifiedFit) -> bytes:
    """Write the page as PDF.

    Raises:
        SafeRoomError: as `page_of`; `NOT_INSTALLED`; `MALFORMED` for a character that no font has.
    """
    return pdf(page_of(verified), verified.release.time)


def _answer(verified: VerifiedFit, card: ModelCard | None) -> str:
    if card is not None:
        return say("AUC {auc} on rows held out", auc=card.auc or "-")
    if verified.release.cancel is not None:
        return say("cancelled")
    return say("refused, {reason}", reason=verified.release.reason)


def _lead(verified: VerifiedFit) -> str:
    asked, owner = verified.request.institution, verified.release.owner
    if verified.givers:
        return say(
            "What {institution} was told of a model that {owner} trained within its enclave, with"
            " columns of {others} too.",
            institution=asked,
            owner=owner,
            others=", ".join(each.owner for each in verified.givers),
        )
    return say(
        "What {institution} was told of a model that {owner} trained within its enclave.",
        institution=asked,
        owner=owner,
    )


def _sections(verified: VerifiedFit, card: ModelCard) -> Iterator[Section]:
    figures = {
        say("rows"): None if card.rows is None else f"{card.rows:,}",
        "AUC": card.auc,
        "KS": card.ks,
        say("membership"): card.membership,
        say("by chance"): card.by_chance,
    }
    yield Section(
        say("How far it tells"),
        tuple(Row(name, value) for name, value in figures.items() if value is not None),
    )
    if card.weights is not None:
        yield Section(
            say("Weights of standardised columns"),
            tuple(Row(each.column, each.weight) for each in card.weights),
        )
    if card.bands is not None and verified.part.bands is not None:
        yield bands_section(card.bands, verified.part.bands.epsilon)
    request, release = verified.request, verified.release
    yield Section(
        say("Model card"),
        (
            Row(say("kind"), str(verified.part.algorithm)),
            Row(say("of"), ", ".join(verified.columns)),
            Row(say("label"), verified.part.label),
            Row(say("purpose"), str(request.purpose)),
            Row(say("for"), "\n".join(map(say, USES))),
            Row(say("limits"), "\n".join(map(say, LIMITS))),
            *_spent(verified),
            Row(say("when"), moment(release.time)),
            Row(say("job"), verified.said.request_id, Form.CODE),
            Row(say("the model"), str(release.model), Form.CODE),
        ),
    )


def _spent(verified: VerifiedFit) -> Iterator[Row]:
    for word in (verified.release, *verified.givers):
        if word.privacy is not None:
            owner = f", {word.owner}" if verified.givers else ""
            yield Row(f"epsilon{owner}", spent_words(word.privacy))
