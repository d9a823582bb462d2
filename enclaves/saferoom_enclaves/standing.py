"""What is in force at an enclave, by the statements it has followed, in their order.

Held in memory and built again from the sealed statements at every start, by the same steps. What
permits something (a feature, an agreement, an approval) counts only while the charter in force
bears it; what restricts something (a withdrawal, a pause, an end, a revocation) counts for good
once the charter of its time bore it. So nothing that the server delivers again, late or in another
order lets more through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from saferoom_enclaves.peers import Peers
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.collusion import CollusionGroups
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pauses import Pauses
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.roots import Line
from saferoom_proto.source_forms import SourceForms
from saferoom_proto.statements import (
    Agreement,
    AgreementEnd,
    Approval,
    CertificateRevocation,
    Charter,
    Feature,
    Pause,
    RootHandover,
    Schema,
    Template,
    Withdrawal,
    load,
)
from saferoom_proto.verification import (
    PinnedAgreement,
    PinnedCharter,
    open_charter,
    verify_agreement,
    verify_by_any_approver,
    verify_by_named_approver,
    verify_certificate_revocation,
)

MOST_AHEAD: Final = timedelta(minutes=5)
"""What permits something and is dated further ahead than this has no effect."""

_CHARTERS: Final = (Charter.payload_type(), RootHandover.payload_type())

R = TypeVar("R")


class Standing:
    """What is in force.

    Args:
        launch: the charter the enclave was started with; it pins the owner's root, until that
            hands over.
    """

    def __init__(self, launch: PinnedCharter) -> None:
        self._launch: Final = launch
        self.generation = 0
        """Counts what took effect, so that others know when to derive anew."""
        self.groups: Final = CollusionGroups()
        self.peers: Final = Peers()
        self.clear()
        self._steps: Final[dict[str, Callable[[Envelope, datetime], None]]] = {
            Charter.payload_type(): self._take_any_charter,
            RootHandover.payload_type(): self._take_charter,
            Schema.payload_type(): self._keep,
            Feature.payload_type(): self._keep,
            Agreement.payload_type(): self._keep,
            Template.payload_type(): self._take_template,
            ReleaseCertificate.payload_type(): self._take_certificate,
            Approval.payload_type(): self._take_approval,
            Withdrawal.payload_type(): self._take_withdrawal,
            Pause.payload_type(): self._take_pause,
            AgreementEnd.payload_type(): self._take_end,
            CertificateRevocation.payload_type(): self._take_revocation,
        }

    def clear(self) -> None:
        """Begin again from the launch's charter."""
        self.generation += 1
        self.charter = self._launch
        """In force: the newest of the launch's and the stream's."""
        self.charters: dict[str, PinnedCharter] = {self._launch.digest: self._launch}
        """By their digests, those that were in force too: for words that name theirs."""
        self.schema: str | None = None
        """The digest of the newest schema; a load follows it."""
        self.schemas: dict[str, Schema] = {}
        self.asks_sources = False
        """Whether tables of the newest schema are asked for, and not loaded."""
        self.features: dict[FeatureRef, PinnedFeature] = {}
        self.templates: dict[str, Template] = {}
        self.certificates: dict[str, ReleaseCertificate] = {}
        self.revoked_certificates: dict[str, datetime] = {}
        self._line: Line | None = None
        """The stream's own charters, which may be behind the one in force."""
        self.groups.clear()
        self.peers.clear()
        self._kept: dict[str, Envelope] = {}
        self._agreements: dict[str, list[PinnedAgreement]] = {}
        self._ended: set[str] = set()
        self._approvals: dict[tuple[str, str], dict[str, Envelope]] = {}
        self._void: set[str] = set()
        self._withdrawn: dict[str, datetime] = {}
        self._pauses = Pauses()
        self._stopped: frozenset[str | None] = frozenset()
        self._sources = SourceForms()
        """Of all schemas that ever were in force: what was fetched under one may still be held."""

    def charter_after(self, statements: Iterable[Envelope]) -> PinnedCharter:
        """Tell which charter will be in force after the next statements of the stream."""
        line, charter = self._line, self.charter
        for statement in statements:
            if statement.payload_type in _CHARTERS:
                try:
                    line = self._following(line, statement)
                except SafeRoomError:
                    continue  # it will have no effect
                charter = _newer(line.charter, charter)
        return charter

    def concerns(self, statement: Envelope) -> bool:
        """Tell whether statements of this kind are taken here."""
        return statement.payload_type in self._steps

    def take(self, statement: Envelope, arrived: datetime) -> None:
        """Let a statement take effect.

        Args:
            statement: the next of its kind in the stream.
            arrived: when it first came, by the enclave's own clock.

        Raises:
            SafeRoomError: it has no effect, and why.
        """
        self._steps[statement.payload_type](statement, arrived)
        self.generation += 1

    def agreements(self, institution: str) -> list[PinnedAgreement]:
        """Give an institution's agreements that have not been ended, the newest first."""
        known = self._agreements.get(institution, [])
        return [each for each in reversed(known) if each.digest not in self._ended]

    def is_approved_by_some(self, template: str) -> bool:
        """Whether any approver signed for a template, under any certificate."""
        return any(each == template and given for (each, _), given in self._approvals.items())

    def approvals(self, template: str, certificate: str) -> list[Envelope]:
        """Give the approvals of these exact bytes that have not been taken back."""
        return list(self._approvals.get((template, certificate), {}).values())

    def require_running(self, template: str) -> None:
        """Refuse with `PAUSED` while all use, or this template's, is paused."""
        for target in (None, template):
            if target in self._stopped:
                raise SafeRoomError(Reason.PAUSED, "all use" if target is None else template)

    def _take_any_charter(self, statement: Envelope, arrived: datetime) -> None:
        charter = load(statement, Charter)
        if charter.owner == self.charter.charter.owner:
            # A conjunction's certificate brings all of its owners' charters: this one is known.
            if self._line is None or statement.digest != self._line.charter.digest:
                self._take_charter(statement, arrived)
        else:
            self._require_room(charter.room)
            self.peers.take(statement, charter)

    def _take_charter(self, statement: Envelope, _: datetime) -> None:
        self._line = self._following(self._line, statement)
        self.charters[self._line.charter.digest] = self._line.charter
        newer = _newer(self._line.charter, self.charter)
        if newer is not self.charter:
            self.charter = newer
            self._approvals.clear()  # each names the charter it was given under
            self._weigh_again()
            self._stopped = frozenset(self._pauses.stopped(self.charter))

    def _following(self, line: Line | None, statement: Envelope) -> Line:
        line = self._first(statement) if line is None else line.after(statement)
        # Charters name each other by their digests. So those of a root of before prove to be the
        # owner's when they come to the launch's, and no others come past it.
        came, launch = line.charter, self._launch
        if came.charter.version == launch.charter.version and came.digest != launch.digest:
            raise SafeRoomError(Reason.BAD_CHARTER, "not the charter that the enclave started with")
        return line

    def _first(self, statement: Envelope) -> Line:
        own, says = self._launch.charter, load(statement, Charter)
        # The launch's root may have taken over from another, as the stream says later.
        former = says.version < own.version
        first = open_charter(statement, says.root if former else own.root)
        if (first.charter.owner, first.charter.room) != (own.owner, own.room):
            raise SafeRoomError(Reason.BAD_CHARTER, "a charter of another owner or room")
        return Line(first, first.charter.root)

    def _weigh_again(self) -> None:
        """Hold all that was kept to the charter now in force."""
        self.schema = None
        self.asks_sources = False
        self.schemas.clear()
        self.features.clear()
        self._agreements.clear()
        for statement in self._kept.values():
            try:
                self._weigh(statement)
            except SafeRoomError:
                continue  # an approver who no longer is one; a later charter may bear it again

    def _keep(self, statement: Envelope, _: datetime) -> None:
        # Weighed first: a statement whose signature was spoilt on its way must not stand in the way
        # of the same one whole.
        if statement.digest not in self._kept:
            if statement.payload_type == Agreement.payload_type():
                self._heed(statement)
            self._weigh(statement)
            self._kept[statement.digest] = statement

    def _heed(self, statement: Envelope) -> None:
        """Let an agreement count for what it restricts, also once an approver of it has left.

        Who was in a group knows what that was told, and what was replaced does not come back.
        """
        agreed = self.by_either(lambda charter: verify_agreement(statement, charter)).agreement
        self.groups.take(agreed.institution, agreed.group)
        if agreed.replaces is not None:
            self._ended.add(agreed.replaces)

    def _weigh(self, statement: Envelope) -> None:
        if statement.payload_type == Schema.payload_type():
            self._weigh_schema(statement)
        elif statement.payload_type == Feature.payload_type():
            self._weigh_feature(statement)
        else:
            self._weigh_agreement(verify_agreement(statement, self.charter))

    def _weigh_agreement(self, pinned: PinnedAgreement) -> None:
        agreement = pinned.agreement
        known = self._agreements.setdefault(agreement.institution, [])
        gone = {*self._ended, agreement.replaces}
        # Two beside each other could name two groups, and what is charged to one be asked by the
        # other.
        for other in known:
            apart = (
                other.agreement.valid_to <= agreement.valid_from
                or agreement.valid_to <= other.agreement.valid_from
            )
            if other.digest not in gone and not apart:
                raise SafeRoomError(Reason.CONFLICT, "another agreement is in force beside it")
        known.append(pinned)

    def _weigh_schema(self, statement: Envelope) -> None:
        schema = verify_by_any_approver(statement, self.charter, Schema)
        if self.schema is not None and schema.version <= self.schemas[self.schema].version:
            raise SafeRoomError(Reason.CONFLICT, f"schema version {schema.version} is not newer")
        self._sources.require(schema)
        self._sources.take(schema)
        self.schema = statement.digest
        self.asks_sources = len(schema.loaded) < len(schema.tables)
        self.schemas[statement.digest] = schema

    def _weigh_feature(self, statement: Envelope) -> None:
        feature = load(statement, Feature)
        if feature.owner != self.charter.charter.owner:
            return  # a peer's: certificates name its digest, and this enclave needs no more of it
        verify_by_any_approver(statement, self.charter, Feature)
        pinned = PinnedFeature(feature, statement.digest)
        current = self.features.get(pinned.ref)
        if current is not None and feature.version <= current.definition.version:
            detail = f"{feature.full_name} version {feature.version} is not newer"
            raise SafeRoomError(Reason.CONFLICT, detail)
        self.features[pinned.ref] = pinned

    def _take_template(self, statement: Envelope, _: datetime) -> None:
        # Nobody's signature counts: approvals sign the digest.
        template = load(statement, Template)
        self._require_room(template.room)
        self.templates[statement.digest] = template

    def _take_certificate(self, statement: Envelope, _: datetime) -> None:
        certificate = load(statement, ReleaseCertificate)
        self._require_room(certificate.room)
        self.certificates[statement.digest] = certificate

    def _take_approval(self, statement: Envelope, arrived: datetime) -> None:
        approval = verify_by_named_approver(statement, self.charter, Approval)
        if approval.charter != self.charter.digest:
            raise SafeRoomError(Reason.NOT_APPROVED, "given under another charter")
        _require_not_ahead(approval.at, arrived)
        withdrawn = self._withdrawn.get(approval.template)
        if statement.digest in self._void or (withdrawn is not None and approval.at <= withdrawn):
            raise SafeRoomError(Reason.NOT_APPROVED, "taken back since")
        of_these = self._approvals.setdefault((approval.template, approval.certificate), {})
        of_these[statement.digest] = statement

    def _take_withdrawal(self, statement: Envelope, arrived: datetime) -> None:
        withdrawal = self.by_either(
            lambda charter: verify_by_named_approver(statement, charter, Withdrawal)
        )
        # One dated ahead must not stand in the way of the approvals that follow it.
        at = min(withdrawal.at, arrived)
        self._withdrawn[withdrawal.template] = max(at, self._withdrawn.get(withdrawal.template, at))
        for (template, _), approvals in self._approvals.items():
            if template == withdrawal.template:
                self._void.update(approvals)
                approvals.clear()

    def _take_pause(self, statement: Envelope, arrived: datetime) -> None:
        if load(statement, Pause).paused:
            pause, charter = self.by_either(lambda charter: _named(statement, charter))
        else:  # what lets go on counts only while the charter in force bears it
            pause, charter = _named(statement, self.charter)
            _require_not_ahead(pause.at, arrived)
        keyid = charter.key_of(pause.approver).keyid
        self._pauses.take(pause, keyid, min(pause.at, arrived))
        self._stopped = frozenset(self._pauses.stopped(self.charter))

    def _take_end(self, statement: Envelope, _: datetime) -> None:
        end = self.by_either(
            lambda charter: verify_by_named_approver(statement, charter, AgreementEnd)
        )
        self._ended.add(end.agreement)

    def _take_revocation(self, statement: Envelope, _: datetime) -> None:
        revocation = self.by_either(
            lambda charter: verify_certificate_revocation(statement, charter)
        )
        known = self.revoked_certificates.get(revocation.fingerprint, revocation.at)
        self.revoked_certificates[revocation.fingerprint] = min(known, revocation.at)

    def by_either(self, verify: Callable[[PinnedCharter], R]) -> R:
        """Verify what restricts under the charter of its place in the stream, or the one in force.

        They differ where the enclave was started with a charter that the stream comes to later.
        """
        if self._line is not None and self._line.charter.digest != self.charter.digest:
            try:
                return verify(self._line.charter)
            except SafeRoomError:
                return verify(self.charter)
        return verify(self.charter)

    def _require_room(self, room: str) -> None:
        if room != self.charter.charter.room:
            raise SafeRoomError(Reason.BAD_CHARTER, "a statement of another room")


def _newer(of_stream: PinnedCharter, in_force: PinnedCharter) -> PinnedCharter:
    return of_stream if of_stream.charter.version > in_force.charter.version else in_force


def _named(statement: Envelope, charter: PinnedCharter) -> tuple[Pause, PinnedCharter]:
    return verify_by_named_approver(statement, charter, Pause), charter


def _require_not_ahead(at: datetime, arrived: datetime) -> None:
    if at > arrived + MOST_AHEAD:
        raise SafeRoomError(Reason.NOT_YET_VALID, "dated ahead of its arrival")
