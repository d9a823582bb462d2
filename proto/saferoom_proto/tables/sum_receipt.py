"""The receipt of a sum over owners: what each owner's enclave said, and what all shares add up to.

One file that shows offline what was asked, what every owner allowed, and the sum. It needs nothing
from the room: only the keys that its reader pinned when it joined (`Trust`). Whoever has all shares
has the sum and nothing else; so the file may be shown to whom the sum may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import open_template
from saferoom_proto.receipt_part import AskedFile, Handovers, OwnersWord
from saferoom_proto.sealed_receipt import Heard, open_request, verify_heard
from saferoom_proto.statements import Outcome, TableRelease, TableRequest, Template
from saferoom_proto.statements.aggregate import FEWEST_SUMMED, MOST_SUMMED
from saferoom_proto.suite import suite_of
from saferoom_proto.tables.asked import plan_of_sum
from saferoom_proto.tables.receipt import require_charged
from saferoom_proto.tables.summed import TableShares, add_up
from saferoom_proto.tables.told import MOST_BYTES, Told, commitment
from saferoom_proto.trust import Trust

FORMAT: Final = "saferoom-sum-receipt/v1"
LIMIT_BYTES: Final = 2 * MOST_SUMMED * MOST_BYTES
"""The largest shares of all owners, written as text within text, and what allowed them."""


class SumPart(OwnersWord):
    """One owner's part of the file. Envelopes are DSSE JSON documents, as text."""

    shares: str | None
    """What was opened, a JSON document; none for a refusal."""
    handovers: Handovers = ()


class SumReceipt(AskedFile[Literal["saferoom-sum-receipt/v1"]]):
    """What the file holds."""

    most_bytes: ClassVar[int] = LIMIT_BYTES
    format: Literal["saferoom-sum-receipt/v1"] = FORMAT
    parts: Annotated[tuple[SumPart, ...], Field(min_length=FEWEST_SUMMED, max_length=MOST_SUMMED)]
    """Of every owner."""


@dataclass(frozen=True, slots=True)
class VerifiedSum:
    """What a sum's receipt verifiably shows.

    Attributes:
        request: what was asked, by whom, about which periods.
        request_id: its digest.
        template: the plan, as it was approved.
        certificate: what every owner could let out at most.
        words: each owner's, with its place in the log.
        tables: the sum, table by table; none if any owner refused.
    """

    request: TableRequest
    request_id: str
    template: Template
    certificate: ReleaseCertificate
    words: Mapping[str, Heard[TableRelease]]
    tables: tuple[Told, ...] | None

    @property
    def refused(self) -> TableRelease | None:
        """The word of the first owner that would not give its part; none if all would."""
        said = (heard.release for heard in self.words.values())
        return next((each for each in said if each.reason not in {None, Reason.PRICE_ONLY}), None)


def verify_sum_receipt(receipt: SumReceipt, trust: Trust) -> VerifiedSum:
    """Verify a sum's receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Step 1: the request, and its template and certificate with all owners' features.
    envelope, request = open_request(receipt.request, trust, TableRequest)
    named = (request.template, request.certificate)
    template, certificate = open_template(
        receipt.template, receipt.certificate, receipt.parts, named
    )
    if template.aggregate is None or not template.aggregate.owners:
        raise SafeRoomError(Reason.NOT_ALLOWED, "the template is of no sum over owners")
    # Step 2: each owner's word on that request, under its own charter, with its own approvals.
    kinds = (TableRequest, TableRelease)
    words = {
        part.owner: verify_heard(part, envelope, certificate, trust, kinds)
        for part in receipt.parts
    }
    # Step 3: what each was charged, about which period, and its shares under their commitment.
    opened: dict[str, TableShares] = {}
    for part in receipt.parts:
        release = words[part.owner].release
        if (part.shares is None) != (release.outcome is Outcome.REFUSED):
            raise SafeRoomError(Reason.BAD_PROOF, "shares are missing, or too many")
        if part.shares is not None:
            shares = TableShares.from_bytes(part.shares.encode())
            require_part(request, release, template, shares)
            opened[part.owner] = shares
    # Step 4: the sum, if there is one.
    tables = None
    if len(opened) == len(words):
        features = (Envelope.from_text(one) for part in receipt.parts for one in part.features)
        shapes = {ref: each.shape for ref, each in pin(features).items()}
        tables = add_up(opened, plan_of_sum(template.aggregate, shapes))
    return VerifiedSum(request, envelope.digest, template, certificate, words, tables)


def require_part(
    request: TableRequest, release: TableRelease, template: Template, shares: TableShares
) -> None:
    """Check one owner's opened shares against its word, and the word against what was asked.

    Raises:
        SafeRoomError: `BAD_PROOF`.
    """
    if request.price:
        raise SafeRoomError(Reason.BAD_PROOF, "its price was asked, and no tables")
    require_charged(release, template)
    asked = next((each.epoch for each in request.periods if each.owner == release.owner), None)
    if release.store is None or release.store.epoch != asked:
        raise SafeRoomError(Reason.BAD_PROOF, "it is about another period than was asked")
    if commitment(shares.to_bytes(), suite_of(release.request)) != release.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not the shares that the word commits to")
    told = (shares.room, shares.owner, shares.request, shares.template, shares.epoch)
    said = (release.room, release.owner, release.request, release.template, asked)
    if told != said:
        raise SafeRoomError(Reason.BAD_PROOF, "the shares are about something else")
