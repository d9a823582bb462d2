"""The receipt of a page of a list: one file that shows offline what was told, allowed by whom.

It needs nothing from the room: only the keys that its reader pinned when it joined (`Trust`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt_part import AskedFile, Handovers, OwnersWord
from saferoom_proto.reports.listed import OwnerList, require_listed
from saferoom_proto.reports.told import MOST_BYTES
from saferoom_proto.sealed_receipt import Said, verify_said
from saferoom_proto.statements import ListRequest, Outcome, Release
from saferoom_proto.statements.listing import Listing
from saferoom_proto.trust import Trust

FORMAT: Final = "saferoom-list-receipt/v1"
LIMIT_BYTES: Final = 4 * MOST_BYTES + (4 << 20)
"""The largest page, written as text within text, and what allowed it."""


class ListReceipt(OwnersWord, AskedFile[Literal["saferoom-list-receipt/v1"]]):
    """What the file holds; no features, for a list reads columns."""

    most_bytes: ClassVar[int] = LIMIT_BYTES
    format: Literal["saferoom-list-receipt/v1"] = FORMAT
    page: str | None
    """What was opened, a JSON document, filled up as it was sealed; none for a refusal."""
    handovers: Handovers = ()


@dataclass(frozen=True, slots=True)
class VerifiedList:
    """What the receipt of a page verifiably shows.

    Attributes:
        said: what was asked and said.
        listing: what the owner approved.
        told: the page; none for a refusal.
    """

    said: Said[ListRequest, Release]
    listing: Listing
    told: OwnerList | None


def verify_list_receipt(receipt: ListReceipt, trust: Trust) -> VerifiedList:
    """Verify the receipt of a page offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Steps 1 to 6: all but the page.
    said = verify_said(receipt, trust, ListRequest, Release)
    listing = said.certificate.part(receipt.owner).listing
    if listing is None:
        raise SafeRoomError(Reason.NOT_ALLOWED, f"{said.template.name} is no list")
    if (receipt.page is None) != (said.release.outcome is Outcome.REFUSED):
        raise SafeRoomError(Reason.BAD_PROOF, "what was told is missing, or too much")
    # Step 7: the page, under its commitment: what the template lets be told, and no more.
    told = None
    if receipt.page is not None:
        told = require_listed(said.release, receipt.page.encode(), said.request, listing)
    return VerifiedList(said, listing, told)
