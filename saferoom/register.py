"""What the room knows, in memory: made of its own log when the server starts, and kept up to date.

Everything here is small and is asked for at every call: organisations, charters, features,
templates, agreements, revoked certificates. Consents and answers are many and stay on the disk.
Nothing is verified here: only what was accepted (`statements.py`) or was read from the audited log
comes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from saferoom.evidence import Role
from saferoom_proto.certificate import ReleaseCertificate, owners_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.formula import FeatureRef
from saferoom_proto.identity import Identity, IdentityKind
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.roots import Line, line_of
from saferoom_proto.statements import (
    Agreement,
    AgreementEnd,
    Approval,
    CertificateRevocation,
    Charter,
    Feature,
    Pause,
    Payload,
    Purpose,
    Recovery,
    RootHandover,
    Schema,
    Template,
    TemplateRefusal,
    Withdrawal,
)
from saferoom_proto.verification import PinnedCharter

P = TypeVar("P", bound=Payload)

KINDS: Final[tuple[type[Payload], ...]] = (
    Charter,
    RootHandover,
    Schema,
    Feature,
    Template,
    ReleaseCertificate,
    Approval,
    TemplateRefusal,
    Withdrawal,
    Pause,
    Recovery,
    Agreement,
    AgreementEnd,
    CertificateRevocation,
)
"""The statements that the register is made of."""

_NO_ROLES: Final[frozenset[Role]] = frozenset()
_SUBJECT: Final = frozenset({Role.SUBJECT})


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of the room."""

    name: str
    title_en: str
    title_zh: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Held(Generic[P]):
    """A statement and what it says."""

    envelope: Envelope
    says: P

    @property
    def digest(self) -> str:
        """The statement's digest."""
        return self.envelope.digest


class Register:
    """The room's knowledge. Used in one event loop."""

    def __init__(self) -> None:
        self._organisations: Final[dict[str, Organisation]] = {}
        self._charters: Final[dict[str, Held[Charter]]] = {}
        self._root_handovers: Final[dict[str, list[Held[RootHandover]]]] = {}
        self._schemas: Final[dict[str, Held[Schema]]] = {}
        self._features: Final[dict[FeatureRef, Held[Feature]]] = {}
        self._pinned: Final[dict[FeatureRef, PinnedFeature]] = {}
        self._templates: Final[dict[str, Held[Template]]] = {}
        self._named: Final[dict[str, str]] = {}
        self._certificates: Final[dict[str, Held[ReleaseCertificate]]] = {}
        self._approvals: Final[dict[tuple[str, str], list[Held[Approval]]]] = {}
        self._refusals: Final[dict[str, list[Held[TemplateRefusal]]]] = {}
        self._pauses: Final[dict[str, list[Held[Pause]]]] = {}
        self._recoveries: Final[dict[str, list[Held[Recovery]]]] = {}
        self._agreements: Final[dict[str, Held[Agreement]]] = {}
        self._between: Final[dict[tuple[str, str], list[Held[Agreement]]]] = {}
        self._ended: Final[set[str]] = set()
        self._ends: Final[dict[str, Held[AgreementEnd]]] = {}
        self._revoked: Final[dict[str, datetime]] = {}

    def enrol(self, organisation: Organisation) -> None:
        """Take an organisation in."""
        self._organisations[organisation.name] = organisation

    def apply(self, statement: Held[Payload]) -> None:
        """Take in a statement that was recorded; kinds outside `KINDS` change nothing."""
        self._define(statement.envelope, statement.says)
        self._allow(statement.envelope, statement.says)

    def _define(self, envelope: Envelope, says: Payload) -> None:
        """Take in what somebody defined: charters and their roots, features, templates and more."""
        match says:
            case Charter():
                self._charters[says.owner] = Held(envelope, says)
            case RootHandover():
                self._root_handovers.setdefault(says.owner, []).append(Held(envelope, says))
            case Schema():
                self._schemas[envelope.digest] = Held(envelope, says)
            case Feature():
                ref = FeatureRef(says.owner, says.name)
                self._features[ref] = Held(envelope, says)
                self._pinned[ref] = PinnedFeature(says, envelope.digest)
            case Template():
                self._templates[envelope.digest] = Held(envelope, says)
                self._named[says.name] = envelope.digest
            case ReleaseCertificate():
                self._certificates[envelope.digest] = Held(envelope, says)
            case _:
                pass

    def _allow(self, envelope: Envelope, says: Payload) -> None:
        """Take in what somebody allowed or took back."""
        match says:
            case Approval():
                self._approvals.setdefault((says.template, says.owner), []).append(
                    Held(envelope, says)
                )
            case TemplateRefusal():
                self._refusals.setdefault(says.template, []).append(Held(envelope, says))
            case Withdrawal():
                self._approvals.pop((says.template, says.owner), None)
            case Pause():
                self._pauses.setdefault(says.owner, []).append(Held(envelope, says))
            case Recovery():
                self._recoveries.setdefault(says.owner, []).append(Held(envelope, says))
            case Agreement():
                self._agreements[envelope.digest] = Held(envelope, says)
                sides = (says.owner, says.institution)
                self._between.setdefault(sides, []).append(Held(envelope, says))
            case AgreementEnd():
                self._ended.add(says.agreement)
                self._ends[says.agreement] = Held(envelope, says)
            case CertificateRevocation():
                earlier = self._revoked.get(says.fingerprint, says.at)
                self._revoked[says.fingerprint] = min(earlier, says.at)
            case _:
                pass

    def roles(self, identity: Identity) -> frozenset[Role]:
        """Give what a certificate's holder may do; nothing if its organisation is not enrolled."""
        if identity.kind is IdentityKind.SUBJECT:
            return _SUBJECT
        organisation = self._organisations.get(identity.organisation)
        return _NO_ROLES if organisation is None else organisation.roles

    def organisation(self, name: str) -> Organisation | None:
        """Give an organisation; none if it is not enrolled."""
        return self._organisations.get(name)

    def is_enrolled(self, name: str) -> bool:
        """Tell whether an organisation is enrolled; a subject never is."""
        return name in self._organisations

    def organisations(self) -> Iterable[Organisation]:
        """Give all organisations, in order of their names."""
        return (self._organisations[name] for name in sorted(self._organisations))

    def require_not_revoked(self, fingerprint: str, now: datetime) -> None:
        """Refuse with `CERTIFICATE_REVOKED` from the instant on that a revocation names."""
        if self.is_revoked(fingerprint, now):
            raise SafeRoomError(Reason.CERTIFICATE_REVOKED, fingerprint)

    def require_in_force(self, organisation: str) -> None:
        """Refuse with `NOT_ALLOWED` an organisation that was revoked."""
        held = self._organisations.get(organisation)
        if held is not None and not held.roles:
            raise SafeRoomError(Reason.NOT_ALLOWED, f"{organisation} was revoked")

    def is_revoked(self, fingerprint: str, now: datetime) -> bool:
        """Tell whether a certificate has been revoked by now."""
        at = self._revoked.get(fingerprint)
        return at is not None and at <= now

    @property
    def owners(self) -> tuple[str, ...]:
        """The owners that have a charter, in order of their names."""
        return tuple(sorted(self._charters))

    def charters(self) -> Iterable[PinnedCharter]:
        """Give every owner's charter in force."""
        return (self.charter(owner) for owner in self.owners)

    def charter(self, owner: str) -> PinnedCharter:
        """Give an owner's charter in force, or refuse with `UNKNOWN_STATEMENT`."""
        held = self.charter_statement(owner)
        return PinnedCharter(held.says, held.digest)

    @property
    def charter_digests(self) -> Mapping[str, str]:
        """The digest of every owner's charter in force, as certificates pin them."""
        return {owner: held.digest for owner, held in self._charters.items()}

    def charter_statement(self, owner: str) -> Held[Charter]:
        """Give an owner's charter in force as it was signed."""
        return _known(self._charters, owner, "charter")

    def root_handovers(self, owner: str) -> Sequence[Held[RootHandover]]:
        """Give the handovers of an owner's charter root, oldest first."""
        return self._root_handovers.get(owner, ())

    def line(self, owner: str) -> Line:
        """Give an owner's charter in force and the root that signs the next one."""
        return line_of(self.charter(owner), (held.says for held in self.root_handovers(owner)))

    def schema(self, digest: str) -> Held[Schema]:
        """Give a schema."""
        return _known(self._schemas, digest, "schema")

    def schemas(self, owner: str) -> list[Schema]:
        """Give all of an owner's schemas, in the order of their versions."""
        own = [held.says for held in self._schemas.values() if held.says.owner == owner]
        return sorted(own, key=lambda schema: schema.version)

    def newest_schema(self, owner: str) -> Held[Schema] | None:
        """Give an owner's schema of the highest version; none if it has none."""
        own = [held for held in self._schemas.values() if held.says.owner == owner]
        return max(own, key=lambda held: held.says.version, default=None)

    def features(self, owner: str = "") -> Iterable[Held[Feature]]:
        """Give the newest version of every feature, of one owner or of all."""
        return (
            self._features[ref]
            for ref in sorted(self._features, key=str)
            if owner in ("", ref.owner)
        )

    def feature(self, ref: FeatureRef) -> Held[Feature] | None:
        """Give the newest version of a feature; none if nobody defined it."""
        return self._features.get(ref)

    @property
    def pinned_features(self) -> Mapping[FeatureRef, PinnedFeature]:
        """The newest version of every feature, as certificates pin them."""
        return MappingProxyType(self._pinned)

    def templates(self) -> Iterable[Held[Template]]:
        """Give all templates in the order in which they were proposed."""
        return self._templates.values()

    def template(self, digest_or_name: str) -> Held[Template]:
        """Give a template by its digest, or the newest of a name."""
        digest = self._named.get(digest_or_name, digest_or_name)
        return _known(self._templates, digest, "template")

    def newest_named(self, name: str) -> Held[Template] | None:
        """Give the newest template of a name; none if there is none."""
        return self._templates[self._named[name]] if name in self._named else None

    def certificate(self, digest: str) -> Held[ReleaseCertificate] | None:
        """Give a release certificate that was handed in; none if there is none."""
        return self._certificates.get(digest)

    def certificates(self, template: str) -> Iterable[Held[ReleaseCertificate]]:
        """Give a template's release certificates in the order in which they were handed in."""
        return (held for held in self._certificates.values() if held.says.template == template)

    def resting_on(self, owner: str) -> tuple[str, ...]:
        """Name the owners whose enclaves rest on another's keys, by certificates handed in."""
        pinned = (
            {part.owner for part in held.says.parts if part.charter is not None}
            for held in self._certificates.values()
        )
        together = {each for owners in pinned if owner in owners for each in owners}
        return tuple(sorted(together - {owner}))

    def approvals(self, template: str) -> Iterable[Held[Approval]]:
        """Give a template's approvals that were not withdrawn, owner by owner."""
        for owner in owners_of(self.template(template).says):
            yield from self._approvals.get((template, owner), ())

    def refusals(self, template: str) -> Iterable[Held[TemplateRefusal]]:
        """Give the approvers' refusals of a template, in the order they came in."""
        return self._refusals.get(template, ())

    def recoveries(self, owner: str) -> Iterable[Held[Recovery]]:
        """Give what an owner's approvers said about older copies of its enclave, in order."""
        return self._recoveries.get(owner, ())

    def pauses(self, owner: str) -> Iterable[Held[Pause]]:
        """Give an owner's pauses and the words for their end, in the order they came in."""
        return self._pauses.get(owner, ())

    def agreements(self, organisation: str) -> Iterable[Held[Agreement]]:
        """Give the agreements an organisation is a side of, ended ones too."""
        return (
            held
            for held in self._agreements.values()
            if organisation in (held.says.owner, held.says.institution)
        )

    def end_of(self, agreement: str) -> Held[AgreementEnd] | None:
        """Give what ended an agreement; none if nothing did."""
        return self._ends.get(agreement)

    def agreement(self, digest: str) -> Held[Agreement]:
        """Give an agreement."""
        return _known(self._agreements, digest, "agreement")

    def require_alone(self, agreement: Agreement) -> None:
        """Refuse with `CONFLICT` one beside another in force: the enclave would not heed it."""
        known = self._between.get((agreement.owner, agreement.institution), ())
        gone = {*self._ended, agreement.replaces, *(held.says.replaces for held in known)}
        for held in known:
            other = held.says
            meet = other.valid_from < agreement.valid_to and agreement.valid_from < other.valid_to
            if meet and held.digest not in gone:
                rule = f"{held.digest} is in force beside it: the enclave would heed that one alone"
                raise SafeRoomError(Reason.CONFLICT, rule, [FieldFault("replaces", rule)])

    def require_agreement(
        self, owner: str, institution: str, purpose: Purpose, now: datetime
    ) -> None:
        """Refuse with `NO_AGREEMENT` unless one in force covers institution and purpose."""
        for held in self._between.get((owner, institution), ()):
            says = held.says
            if (
                purpose in says.purposes
                and says.valid_from <= now < says.valid_to
                and held.digest not in self._ended
            ):
                return
        raise SafeRoomError(Reason.NO_AGREEMENT, f"none of {owner} with {institution}")


K = TypeVar("K")
V = TypeVar("V")


def _known(held: Mapping[K, V], key: K, what: str) -> V:
    if key not in held:
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"no such {what}")
    return held[key]
