"""A fit's receipt: one file that shows offline what was trained in the room, allowed and told.

It needs nothing from the room: only the keys that its reader pinned when it joined (`Trust`).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.fit_part import all_columns
from saferoom_proto.fits import SIZE, ModelCard
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt_part import AskedFile, Handovers, OwnersWord
from saferoom_proto.sealed_receipt import Said, verify_heard, verify_said
from saferoom_proto.statements import (
    FitRelease,
    FitRequest,
    JobAdmission,
    Outcome,
    PrivacySpent,
    Template,
)
from saferoom_proto.statements.fit import FitPart
from saferoom_proto.statements.training import MOST_OWNERS, FitBands
from saferoom_proto.suite import suite_of
from saferoom_proto.trust import Trust

FORMAT: Final = "saferoom-fit-receipt/v1"
LIMIT_BYTES: Final = 4 * SIZE + (4 << 20)
"""A card, written as text within text, and what allowed it."""


class GiverPart(OwnersWord):
    """Of another owner, whose columns were trained on too: the word by which its job began."""

    handovers: Handovers = ()


class FitReceipt(OwnersWord, AskedFile[Literal["saferoom-fit-receipt/v1"]]):
    """What the file holds. Envelopes are DSSE JSON documents, as text."""

    most_bytes: ClassVar[int] = LIMIT_BYTES
    format: Literal["saferoom-fit-receipt/v1"] = FORMAT
    card: str | None
    """What was opened, a JSON document; none for a refusal."""
    handovers: Handovers = ()
    givers: Annotated[
        tuple[GiverPart, ...], Field(max_length=MOST_OWNERS, exclude_if=operator.not_)
    ] = ()
    """In order; receipts of one owner are written without."""


@dataclass(frozen=True, slots=True)
class VerifiedFit:
    """What a fit's receipt verifiably shows.

    Attributes:
        said: what was asked and said.
        part: what the owner's enclave could let out.
        card: what was told; none for a refusal.
        givers: of several owners, the words by which the others let it begin.
    """

    said: Said[FitRequest, FitRelease]
    part: FitPart
    card: ModelCard | None
    givers: tuple[JobAdmission, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all owners' columns, those of the enclave that trained first."""
        return (*self.part.columns, *_others(self.said))

    @property
    def release(self) -> FitRelease:
        """The enclave's word."""
        return self.said.release

    @property
    def request(self) -> FitRequest:
        """What was asked, by whom."""
        return self.said.request

    @property
    def template(self) -> Template:
        """The template, as it was approved."""
        return self.said.template

    @property
    def checkpoint(self) -> Checkpoint:
        """Of the log that the word stands in."""
        return self.said.checkpoint


def verify_fit_receipt(receipt: FitReceipt, trust: Trust) -> VerifiedFit:
    """Verify a fit's receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Steps 1 to 6: all but the card.
    said = verify_said(receipt, trust, FitRequest, FitRelease, receipt.givers)
    release, part = said.release, said.certificate.part(receipt.owner).fit
    if part is None:
        raise SafeRoomError(Reason.NOT_ALLOWED, "the template trains nothing in the room")
    fit = said.template.fit
    if fit is None or fit.owner != release.owner:
        raise SafeRoomError(Reason.BAD_PROOF, "another owner's enclave than the template's host")
    # Step 7: of several owners, that each of the others let it begin, and counted it.
    givers = tuple(_verify_admission(each, receipt, said, trust) for each in receipt.givers)
    if (receipt.card is None) != (release.outcome is Outcome.REFUSED):
        raise SafeRoomError(Reason.BAD_PROOF, "a card is missing, or one too many")
    _require_charged(said.request, release, part)
    if receipt.card is None:
        return VerifiedFit(said, part, None, givers)
    # Step 8: the card, under its commitment, with what the template lets be told and no more.
    card = ModelCard.from_bytes(receipt.card.encode())
    if suite_of(release.request).digest(card.to_bytes()) != release.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not the card that the word commits to")
    epoch = None if release.store is None else release.store.epoch
    told = (card.room, card.owner, card.request, card.template, card.epoch)
    if told != (release.room, release.owner, release.request, release.template, epoch):
        raise SafeRoomError(Reason.BAD_PROOF, "the card is about something else")
    card.require_allowed(part, _others(said), fit.givers)
    return VerifiedFit(said, part, card, givers)


def _others(said: Said[FitRequest, FitRelease]) -> list[str]:
    """Name the columns of the other owners than that of the enclave that trained."""
    parts = said.certificate.parts
    return all_columns(each for each in parts if each.owner != said.release.owner)


def _verify_admission(
    giver: GiverPart, receipt: FitReceipt, said: Said[FitRequest, FitRelease], trust: Trust
) -> JobAdmission:
    asked, kinds = Envelope.from_text(receipt.request), (FitRequest, JobAdmission)
    heard = verify_heard(giver, asked, said.certificate, trust, kinds)
    if heard.index >= said.index:
        raise SafeRoomError(Reason.BAD_PROOF, "let begin after it had ended")
    part, privacy = said.certificate.part(giver.owner).fit, heard.release.privacy
    _require_due(privacy, None if part is None else part.bands, counts=True)
    return heard.release


def _require_charged(request: FitRequest, release: FitRelease, part: FitPart) -> None:
    """Refuse with `BAD_PROOF` a word that says of noise what its template does not."""
    if request.price and release.run is not None:
        raise SafeRoomError(Reason.BAD_PROOF, "its price was asked, and no model")
    if release.privacy is not None and release.run is None and not request.price:
        raise SafeRoomError(Reason.BAD_PROOF, "its model was asked, and no price")
    counts = release.run is not None or release.reason is Reason.PRICE_ONLY
    _require_due(release.privacy, part.bands, counts=counts)


def _require_due(privacy: PrivacySpent | None, bands: FitBands | None, *, counts: bool) -> None:
    """Refuse with `BAD_PROOF` a charge that is not its template's; `counts`: there is to be one."""
    charged = None if privacy is None else privacy.charged
    due = None if bands is None or not (counts or charged) else bands.epsilon
    if charged != due:
        raise SafeRoomError(Reason.BAD_PROOF, f"charged {charged}, and its bands tell {due}")
    if privacy is not None and bands and privacy.cap > bands.cap:
        raise SafeRoomError(Reason.BAD_PROOF, "the cap is above the template's")
