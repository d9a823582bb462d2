"""A table's receipt: one file that shows offline what was asked, allowed and told.

It needs nothing from the room: only the keys that its reader pinned when it joined (`Trust`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from saferoom_proto.certificate import OwnerPart, ReleaseCertificate
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.dsse import Envelope
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt_part import AskedFile, Handovers, OwnersWord
from saferoom_proto.sealed_receipt import verify_said
from saferoom_proto.statements import Outcome, TableRelease, TableRequest, Template
from saferoom_proto.suite import suite_of
from saferoom_proto.tables.asked import plan_of
from saferoom_proto.tables.plan import ReleasePlan
from saferoom_proto.tables.told import MOST_BYTES, Tables, Told, commitment
from saferoom_proto.trust import Trust

FORMAT: Final = "saferoom-table-receipt/v1"
LIMIT_BYTES: Final = 4 * MOST_BYTES
"""The largest tables, written as text within text, and what allowed them."""


class TableReceipt(OwnersWord, AskedFile[Literal["saferoom-table-receipt/v1"]]):
    """What the file holds. Envelopes are DSSE JSON documents, as text."""

    most_bytes: ClassVar[int] = LIMIT_BYTES
    format: Literal["saferoom-table-receipt/v1"] = FORMAT
    tables: str | None
    """What was opened, a JSON document; none for a refusal."""
    handovers: Handovers = ()


@dataclass(frozen=True, slots=True)
class VerifiedTables:
    """What a table's receipt verifiably shows.

    Attributes:
        request: what was asked, by whom.
        request_id: its digest.
        template: the plan, as it was approved.
        certificate: what it could let out at most.
        release: the enclave's word.
        tables: what was told, table by table; none for a refusal.
        checkpoint: the log that the word stands in.
        index: its entry there.
    """

    request: TableRequest
    request_id: str
    template: Template
    certificate: ReleaseCertificate
    release: TableRelease
    tables: tuple[Told, ...] | None
    checkpoint: Checkpoint
    index: int

    @property
    def part(self) -> OwnerPart:
        """What the owner's enclave could let out."""
        return self.certificate.part(self.release.owner)


def verify_table_receipt(receipt: TableReceipt, trust: Trust) -> VerifiedTables:
    """Verify a table's receipt offline.

    Raises:
        SafeRoomError: the reason names the first step that fails.
    """
    # Steps 1 to 6: all but the tables.
    said = verify_said(receipt, trust, TableRequest, TableRelease)
    release = said.release
    if release.outcome is Outcome.ANSWERED:
        if said.request.price:
            raise SafeRoomError(Reason.BAD_PROOF, "its price was asked, and no tables")
        require_charged(release, said.template)
    # Step 7: the tables under their commitment.
    if (receipt.tables is None) != (release.outcome is Outcome.REFUSED):
        raise SafeRoomError(Reason.BAD_PROOF, "tables are missing, or too many")
    tables = None
    if receipt.tables is not None:
        opened = Tables.from_bytes(receipt.tables.encode())
        plan = planned(said.template, receipt.features, opened.epoch)
        tables = require_told(release, opened, plan)
    return VerifiedTables(
        said.request,
        said.request_id,
        said.template,
        said.certificate,
        release,
        tables,
        said.checkpoint,
        said.index,
    )


def require_told(release: TableRelease, tables: Tables, plan: ReleasePlan) -> tuple[Told, ...]:
    """Check opened tables against the word that commits to them, and lay them out by their plan.

    Raises:
        SafeRoomError: `BAD_PROOF`.
    """
    suite = suite_of(release.request)
    if release.answer is None or commitment(tables.to_bytes(), suite) != release.answer:
        raise SafeRoomError(Reason.BAD_PROOF, "not the tables that the word commits to")
    store = None if release.store is None else release.store.epoch
    told = (tables.room, tables.owner, tables.request, tables.template, tables.epoch)
    if told != (release.room, release.owner, release.request, release.template, store):
        raise SafeRoomError(Reason.BAD_PROOF, "the tables are about something else")
    return tables.by_plan(plan)


def require_charged(release: TableRelease, template: Template) -> None:
    """Check that an answer was charged what its plan's noise costs."""
    privacy = None if template.aggregate is None else template.aggregate.privacy
    if (privacy is None) != (release.privacy is None):
        raise SafeRoomError(Reason.BAD_PROOF, "it says of noise what its plan does not")
    if privacy is None or release.privacy is None:
        return
    charged = release.privacy.charged in {0, privacy.epsilon}
    if not charged or release.privacy.spent < privacy.epsilon or release.privacy.cap > privacy.cap:
        raise SafeRoomError(Reason.BAD_PROOF, "it was charged otherwise than its plan says")


def planned(template: Template, features: tuple[str, ...], epoch: int) -> ReleasePlan:
    """Derive the plan of a template's tables from its features' statements, given as text.

    Raises:
        SafeRoomError: `NOT_ALLOWED` for a template of another kind.
    """
    if template.aggregate is None or template.aggregate.owners:
        raise SafeRoomError(Reason.NOT_ALLOWED, "the template is not of one owner's tables")
    shapes = {ref: each.shape for ref, each in pin(map(Envelope.from_text, features)).items()}
    return plan_of(template.aggregate, shapes, epoch)
