"""What the owner approved: a template, with all that running it needs, derived once and kept.

The enclave derives its own part of the release certificate anew from the formula it would run and
the features it holds, so what runs is what the approvers saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from saferoom_enclaves.asking import Ask
from saferoom_enclaves.pairing import Hiding, Pairing
from saferoom_enclaves.standing import Standing
from saferoom_proto.certificate import (
    OwnerPart,
    ReleaseCertificate,
    derive_part,
    derive_score_part,
    owner_parts,
)
from saferoom_proto.formula import (
    Bound,
    FeatureKind,
    FeatureRef,
    FeatureShape,
    Node,
    bind,
    cuts,
    parameters,
    stated,
)
from saferoom_proto.matchable import require_matchable
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Feature, Returns, Template
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL
from saferoom_proto.statements.score import Score, ScorePart
from saferoom_proto.verification import verify_approvals

D = TypeVar("D")

_ANY_VALUE: Final = "0"
"""In the place of one that is not told: it has every form."""
MOST_KNOWN: Final = 1024
"""Sets of parameters kept for one template: more than three grids of seven thresholds allow."""


@dataclass(frozen=True, slots=True)
class BoundUse:
    """A formula with its parameters on the grid, or a score; and what it is charged for."""

    formula: Bound | ScorePart
    asks: tuple[Ask, ...]
    stated: Mapping[FeatureRef, str]
    """What it states of features of which values are stated, in their form."""


@dataclass(frozen=True, slots=True, eq=False)
class ApprovedUse:
    """A template and certificate that this owner approved, ready to run.

    Attributes:
        part: this owner's part of the certificate.
        node: this owner's part of the formula, or the score that is asked.
        parameters: those of the whole template, other owners' parts included.
        features: the features this part reads, by name.
        shapes: what they may be compared with.
        approvals: the digests of the approvals that count.
        definitions: the definitions of the features.
        hiding: of a private conjunction, what hides this part; none where the part is told.
        blind: whether a value is matched that only the asker knows.
        known: what it came to with parameters it has met.
    """

    part: OwnerPart
    node: Node | ScorePart
    parameters: frozenset[str]
    features: Mapping[FeatureRef, PinnedFeature]
    shapes: Mapping[FeatureRef, FeatureShape]
    approvals: tuple[str, ...]
    definitions: tuple[Feature, ...]
    hiding: Hiding | None
    blind: bool
    known: dict[tuple[tuple[str, str | bool], ...], BoundUse] = field(default_factory=dict)

    def bound(self, params: Mapping[str, str | bool]) -> BoundUse:
        """Put a request's parameters into this owner's part, each on its feature's grid.

        Raises:
            SafeRoomError: `OFF_DOMAIN` or `OFF_GRID`, naming the parameter.
        """
        given = tuple(params.items())
        known = self.known.get(given)
        if known is None:
            known = self._bound(params)
            # Values on a grid are few; refused and stated ones are not kept.
            if len(self.known) < MOST_KNOWN and not known.stated:
                self.known[given] = known
        return known

    def bound_blindly(self, params: Mapping[str, str | bool], offer: str) -> BoundUse:
        """Bind the formula of a blind match: what is stated is known by the offer, and to nobody.

        So each offer is another value, in accounts and in the count of attempts.

        Raises:
            SafeRoomError: `OFF_DOMAIN` if a request states the value all the same.
        """
        if params:
            faults = [FieldFault(f"params.{name}", "is not told: it is matched") for name in params]
            raise SafeRoomError(Reason.OFF_DOMAIN, "a value that is stated blindly", faults)
        bound = self._bound(dict.fromkeys(self.parameters, _ANY_VALUE))
        asks = tuple(replace(ask, stated=f"blind {offer}") for ask in bound.asks)
        return replace(bound, asks=asks)

    @property
    def fetched(self) -> Mapping[FeatureRef, PinnedFeature]:
        """The features whose records are asked for of a source."""
        return {ref: each for ref, each in self.features.items() if each.definition.source}

    @property
    def states(self) -> bool:
        """Whether it asks of a feature of which values are stated."""
        return any(shape.kind is FeatureKind.STATED for shape in self.shapes.values())

    def require_computed(self, computed: AbstractSet[FeatureRef]) -> None:
        """Refuse with `NO_DATA` unless the features of the store are among those there."""
        if missing := self.features.keys() - self.fetched.keys() - computed:
            raise SafeRoomError(Reason.NO_DATA, f"not computed: {min(missing)}")

    def _bound(self, params: Mapping[str, str | bool]) -> BoundUse:
        if odd := sorted(params.keys() ^ self.parameters):
            faults = [
                FieldFault(f"params.{name}", "missing" if name in self.parameters else "unknown")
                for name in odd
            ]
            raise SafeRoomError(Reason.OFF_DOMAIN, f"parameters {', '.join(odd)}", faults)
        node = self.node
        charged = {FeatureRef.parse(each.feature) for each in self.part.features if each.charged}
        if isinstance(node, ScorePart):
            free = tuple(
                each.value_digest for each in self.definitions if each.level < CONSENT_FROM_LEVEL
            )
            scored = (
                Ask.of_score(self.features[ref].definition, self.shapes[ref], node, free)
                for ref in sorted(charged, key=str)
            )
            return BoundUse(node, tuple(scored), {})
        own = {name: params[name] for name in parameters(node)}
        formula = bind(node, own, self.shapes)
        said = stated(node, own, self.shapes)
        asks = tuple(
            Ask.of(self.features[ref].definition, self.shapes[ref], asked, said.get(ref))
            for ref, asked in cuts(formula).items()
            if ref in charged
        )
        return BoundUse(formula, asks, said)


def approved(
    standing: Standing,
    template: str,
    certificate: str,
    derive: Callable[[], D],
    part_of: Callable[[D], OwnerPart],
) -> tuple[D, tuple[str, ...]]:
    """Derive what a template asks of this owner, and count the approvals of just that.

    Args:
        standing: what is in force; it holds the template and the certificate.
        template: its digest.
        certificate: digest of its release certificate.
        derive: derives what is asked from the template and the features in force.
        part_of: gives this owner's part of the certificate, as it was derived.

    Returns:
        What was derived, and the digests of the approvals that count.

    Raises:
        SafeRoomError: `CERTIFICATE_MISMATCH` or `NOT_APPROVED`.
    """
    # Step 1: the certificate is this template's, and this owner's part is what it says.
    known, owner = standing.certificates[certificate], standing.charter.charter.owner
    stated, named = (known.template, known.purposes, known.returns), standing.templates[template]
    if stated != (template, named.purposes, named.returns):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "the certificate of another template")
    try:
        derived = derive()
    except (KeyError, SafeRoomError) as error:
        detail = "this owner's part cannot be derived"
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, detail) from error
    if part_of(derived) != known.part(owner):
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "this owner's part is another")
    # Step 2: as many approvers as the charter asks signed these exact bytes.
    given = standing.approvals(template, certificate)
    return derived, verify_approvals(standing.charter, given, template, certificate)


def require_known(standing: Standing, template: str, certificate: str) -> None:
    """Refuse what the owner's stream did not bring.

    Raises:
        SafeRoomError: `NOT_APPROVED` or `CERTIFICATE_MISMATCH`.
    """
    if template not in standing.templates:
        raise SafeRoomError(Reason.NOT_APPROVED, "an unknown template")
    if certificate not in standing.certificates:
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "an unknown release certificate")


class ApprovedUses:
    """Derives approved uses, and keeps each until anything in force changes.

    Args:
        standing: what is in force.
        pairing: this owner's pairing key.
    """

    def __init__(self, standing: Standing, pairing: Pairing) -> None:
        self._standing: Final = standing
        self._pairing: Final = pairing
        self._generation = -1
        self._derived: dict[tuple[str, str], ApprovedUse | SafeRoomError] = {}

    def use(self, template: str, certificate: str) -> ApprovedUse:
        """Give the approved use of a known template under a certificate, by their digests.

        Raises:
            SafeRoomError: `CERTIFICATE_MISMATCH` or `NOT_APPROVED`.
        """
        if self._standing.generation != self._generation:
            self._generation = self._standing.generation
            self._derived.clear()
        key = (template, certificate)
        # Only what the owner's stream brought is kept, so that no asker can fill the memory.
        require_known(self._standing, template, certificate)
        if key not in self._derived:
            self._derived[key] = self._derive(template, certificate)
        found = self._derived[key]
        if isinstance(found, SafeRoomError):
            raise SafeRoomError(found.reason, found.detail)
        return found

    def _derive(self, template: str, certificate: str) -> ApprovedUse | SafeRoomError:
        try:
            use = self._run_by(self._standing.templates[template], template, certificate)
        except SafeRoomError as error:
            return error
        return use

    def _run_by(self, template: Template, digest: str, certificate: str) -> ApprovedUse:
        standing, owner = self._standing, self._standing.charter.charter.owner

        def derived() -> tuple[Node | ScorePart, OwnerPart]:
            if template.score is not None:
                return self._scored(template.score, standing.certificates[certificate])
            parts, charter = owner_parts(template), None
            require_matchable(template, parts, standing.features)
            if template.returns is Returns.CONJUNCTION:
                charter = standing.charter.digest
                require_conjoined(standing.certificates[certificate], tuple(parts))
            return parts[owner], derive_part(owner, parts[owner], standing.features, charter)

        (node, part), approvals = approved(
            standing, digest, certificate, derived, lambda derived: derived[1]
        )
        features = {
            ref: standing.features[ref]
            for ref in (FeatureRef.parse(use.feature) for use in part.features)
        }
        shapes = {ref: pinned.shape for ref, pinned in features.items()}
        definitions = tuple(pinned.definition for pinned in features.values())
        return ApprovedUse(
            part=part,
            node=node,
            parameters=frozenset(template.params),
            features=features,
            shapes=shapes,
            approvals=approvals,
            definitions=definitions,
            hiding=self.hiding(part, standing.certificates[certificate]),
            blind=template.returns is Returns.BLIND,
        )

    def _scored(self, score: Score, certificate: ReleaseCertificate) -> tuple[ScorePart, OwnerPart]:
        """Derive this owner's part of a score; of several owners under the charter in force."""
        standing, owner = self._standing, self._standing.charter.charter.owner
        if owner not in score.owners:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "a score of another owner")
        if score.job is not None:
            require_conjoined(certificate, score.owners)
        charters = {owner: standing.charter.digest}
        part = derive_score_part(owner, score, standing.features, charters)
        if part.score is None:
            raise SafeRoomError(Reason.INTERNAL, "a part of a score that is none")
        return part.score, part

    def hiding(self, own_part: OwnerPart, certificate: ReleaseCertificate) -> Hiding | None:
        """Agree with the owners whose charters an approved certificate of shares pins.

        Raises:
            SafeRoomError: `CERTIFICATE_MISMATCH` for a charter that is not known, or was followed.
        """
        if not own_part.shared:
            return None
        standing = self._standing
        own, owner = standing.charter, standing.charter.charter.owner
        others = {
            part.owner: standing.peers.pinned(part.owner, part.charter)
            for part in certificate.parts
            if part.owner != owner
        }
        return self._pairing.hiding(own, others)


def require_conjoined(certificate: ReleaseCertificate, owners: tuple[str, ...]) -> None:
    """Refuse a certificate of shares whose parts are not the owners' of what is asked."""
    if len(owners) < 2 or tuple(part.owner for part in certificate.parts) != owners:  # noqa: PLR2004
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, "not the formula's owners")
