"""The parts of a certificate that tell what is public by law: of a report, and of a list."""

from __future__ import annotations

from saferoom_proto.owner_part import OwnerPart
from saferoom_proto.statements.listing import Listing
from saferoom_proto.statements.report import Report, ReportPart


def derive_report_part(report: Report, owner: str) -> OwnerPart:
    """Derive one owner's part of a report: it follows from the template alone."""
    return _public_part(owner, report=ReportPart.of(report, owner))


def derive_list_part(listing: Listing) -> OwnerPart:
    """Derive the part of the one owner of a list: it follows from the template alone."""
    return _public_part(listing.owner, listing=listing)


def _public_part(
    owner: str, report: ReportPart | None = None, listing: Listing | None = None
) -> OwnerPart:
    return OwnerPart(
        owner=owner,
        charter=None,
        formula="",
        features=(),
        answers=0,
        needs_consent=False,
        report=report,
        listing=listing,
    )
