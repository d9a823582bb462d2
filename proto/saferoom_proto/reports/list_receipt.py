"""The receipt of a page of a list: one file that shows offline what was told, allowed by whom.

It needs nothing from the room: only the keys that its reader pinned when it joined (`Trust`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt_part import Handovers, read_receipt
from saferoom_proto.reports.listed import OwnerList, require_listed
from saferoom_proto.reports.told import MOST_BYTES
from saferoom_proto.sealed_receipt import Said, verify_said
from saferoom_proto.statements import ListRequest, Outcome, Release
from saferoom_proto.statements.base import Base64, Owner, Part
from saferoom_proto.statements.listing import Listing
from saferoom_proto.trust import Trust

FORMAT: Final = "saferoom-list-receipt/v1"
LIMIT_BYTES: Final = 4 * MOST_BYTES + (4 << 20)
"""The largest page, written as text within text, and what allowed it."""


class ListReceipt(Part):
    """What the file holds. Envelopes are DSSE JSON documents, as text."""

    format: Literal["saferoom-list-receipt/v1"] = FORMAT
    request: str
    template: str
    certificate: str
    """The release certificate's payload, as approvals and request name it."""
    owner: Owner
    charters: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """The charter in force, and before it those that lead to it from the pinned root."""
    features: tuple[str, ...]
    """None: a list reads columns."""
    approvals: tuple[str, ...]
    agreement: str
    endorsement: str
    release: str
    salt: Base64
    proof: str
    page: str | None
    """What was opened, a JSON document, filled up as it was sealed; none for a refusal."""
    handovers: Handovers = ()

    @classmethod
    def from_json(cls, data: bytes) -> ListReceipt:
        """Read a receipt file; `MALFORMED` names the field."""
        return read_receipt(cls, data, LIMIT_BYTES)

    def to_json(self) -> bytes:
        """Write a receipt file."""
        return self.model_dump_json(indent=1).encode() + b"\n"


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
