"""The release certificate: what a template can let out, derived from its tree and its features.

Nobody writes one by hand: the proposer's client, every approver's client and (for its own part)
every enclave derive it, and approvals sign its digest beside the template's. It is deterministic,
so equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from saferoom_proto.answer import Band, Told, Truth, fold
from saferoom_proto.conjunction import NO_CHARTERS, pinned_charters
from saferoom_proto.dsse import Envelope, media_type, pae
from saferoom_proto.feature_uses import require_defined, use_by
from saferoom_proto.fit_part import derive_fit_parts
from saferoom_proto.formula import (
    FeatureRef,
    Node,
    format_formula,
    max_cuts,
    parameters,
    parse_formula,
    split_by_owner,
)
from saferoom_proto.formula import features as features_of
from saferoom_proto.matchable import require_matchable
from saferoom_proto.owner_part import FeatureUse, OwnerPart
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.public_part import derive_list_part, derive_report_part
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.shares import Share, added_up
from saferoom_proto.statements import (
    Absent,
    Digest,
    Payload,
    Purpose,
    Returns,
    Template,
    Training,
    Usage,
    load,
)
from saferoom_proto.statements.feature import CONSENT_FROM_LEVEL
from saferoom_proto.statements.score import Score, ScorePart
from saferoom_proto.statements.training import TrainingPart
from saferoom_proto.suite import suite_of
from saferoom_proto.table_parts import table_parts
from saferoom_proto.trainable import (
    pinned_charter,
    require_columns,
    trained_columns,
)


class ReleaseCertificate(Payload):
    """What a template can let out, part by part. Whoever signs it only hands it in."""

    KIND: ClassVar[str] = "release-certificate"
    SIGNED_BY: ClassVar[Usage] = Usage.INSTITUTION

    template: Digest
    purposes: tuple[Purpose, ...]
    returns: Returns
    parts: Annotated[tuple[OwnerPart, ...], Field(min_length=1)]

    @cached_property
    def digest(self) -> str:
        """The digest that approvals and requests name, of its template's suite."""
        suite = suite_of(self.template)
        return suite.digest(pae(media_type(self.payload_type(), suite), self.to_bytes()))

    @property
    def bands(self) -> int:
        """How many bands the whole of a score has: of several owners those of the sum."""
        return sum(part.score.bands - 1 for part in self.parts if part.score is not None) + 1

    def fold(self, told: Sequence[Told]) -> Truth | Band:
        """Fold what the parts of an answer tell into the whole.

        Raises:
            SafeRoomError: `MALFORMED` for parts that are not of one kind; `BAD_PROOF` for shares
                that add up to no band of the score.
        """
        if not any(part.score is not None and part.shared for part in self.parts):
            return fold(told)
        shares = [each for each in told if isinstance(each, Share)]
        if len(shares) != len(told):
            raise SafeRoomError(Reason.MALFORMED, "shares beside answers")
        number = added_up(shares)
        if number >= self.bands:
            raise SafeRoomError(Reason.BAD_PROOF, "the shares add up to no band of the score")
        return Band(number + 1)

    def part(self, owner: str) -> OwnerPart:
        """Give one owner's part, or refuse with `CERTIFICATE_MISMATCH`."""
        for part in self.parts:
            if part.owner == owner:
                return part
        raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, f"no part for {owner}")


def owners_of(template: Template) -> tuple[str, ...]:
    """Name the owners that a template asks anything of, in order."""
    if template.aggregate is not None:
        return template.aggregate.asked_of
    if template.listing is not None:
        return (template.listing.owner,)
    several = template.training or template.report or template.score or template.fit
    if several is not None:
        return several.owners
    return tuple(owner_parts(template))


def rests_on(template: Template) -> tuple[str, ...]:
    """Name the owners whose charters a template's certificate pins, in order."""
    if template.training is not None and template.training.host is not None:
        return template.training.owners
    if template.fit is not None:
        return template.fit.owners if template.fit.givers else ()
    if template.score is not None:
        return template.score.owners if template.score.job is not None else ()
    if template.aggregate is not None:
        return template.aggregate.owners
    return tuple(owner_parts(template)) if template.returns is Returns.CONJUNCTION else ()


def features_named(template: Template) -> tuple[FeatureRef, ...]:
    """Name the features that a template reads, in order."""
    if template.aggregate is not None:
        return tuple(sorted(map(FeatureRef.parse, template.aggregate.features), key=str))
    if template.training is not None:
        return tuple(sorted(map(FeatureRef.parse, template.training.features), key=str))
    if template.report is not None or template.listing is not None:
        return ()
    if template.score is not None:
        return tuple(sorted(map(FeatureRef.parse, template.score.features), key=str))
    if template.fit is not None:
        named = (*template.fit.features, template.fit.label)
        return tuple(sorted(map(FeatureRef.parse, named), key=str))
    return tuple(sorted(features_of(parse_formula(template.check)), key=str))


def owner_parts(template: Template) -> dict[str, Node]:
    """Split a template's formula into the owners' parts, in order of the owners' names."""
    node = parse_formula(template.check)
    declared = {name: parameter.feature for name, parameter in template.params.items()}
    used = {name: str(ref) for name, ref in parameters(node).items()}
    if declared != used:
        differing = sorted({name for name, _ in set(declared.items()) ^ set(used.items())})
        rule = "declared and used must be the same, and of the same feature"
        faults = [FieldFault(f"params.{name}", rule) for name in differing]
        raise SafeRoomError(Reason.OFF_DOMAIN, "parameters", faults)
    return dict(sorted(split_by_owner(node).items()))


def derive_part(
    owner: str, node: Node, pinned: Mapping[FeatureRef, PinnedFeature], charter: str | None = None
) -> OwnerPart:
    """Derive one owner's part of a certificate; of a private conjunction it pins a charter.

    A conjunction's part answers whether it holds: what is not known does not.

    Raises:
        SafeRoomError: `UNKNOWN_FEATURE`, `OFF_GRID`, or `NOT_ALLOWED` for a level 4 feature.
    """
    refs = sorted(features_of(node), key=str)
    require_defined("check", refs, pinned)
    most = max_cuts(node, {ref: pinned[ref].shape for ref in refs})
    uses = tuple(_use(pinned[ref], most[ref]) for ref in refs)
    silent = any(pinned[ref].shape.can_be_unknown for ref in refs)
    return OwnerPart(
        owner=owner,
        charter=charter,
        formula=format_formula(node),
        features=uses,
        answers=3 if silent and charter is None else 2,
        needs_consent=any(use.level >= CONSENT_FROM_LEVEL for use in uses),
    )


def derive_training_part(
    owner: str,
    training: Training,
    pinned: Mapping[FeatureRef, PinnedFeature],
    charters: Mapping[str, str],
) -> OwnerPart:
    """Derive the part of an owner whose features a training reads.

    Args:
        owner: whose part.
        training: what is trained.
        pinned: features by name; this owner's are enough.
        charters: the digests of charters in force by owner; this owner's is enough. Of a training
            of one owner's features none is looked at.

    Raises:
        SafeRoomError: `UNKNOWN_FEATURE`; `NOT_ALLOWED` for a feature of level 4, or one of which
            values are stated; `BAD_CHARTER` for an owner without one; `TOO_LARGE`.
    """
    refs = [FeatureRef.parse(name) for name in training.features_of(owner)]
    require_defined("training.features", refs, pinned)
    columns = trained_columns(refs, {ref: pinned[ref].definition for ref in refs})
    return OwnerPart(
        owner=owner,
        charter=pinned_charter(owner, training.owners, charters),
        formula="",
        features=tuple(use_by(pinned[ref]) for ref in sorted(refs, key=str)),
        answers=0,
        needs_consent=False,
        training=TrainingPart.of(training, tuple(columns)),
    )


def _training_parts(
    training: Training,
    pinned: Mapping[FeatureRef, PinnedFeature],
    charters: Mapping[str, str],
) -> tuple[OwnerPart, ...]:
    parts = tuple(
        derive_training_part(owner, training, pinned, charters) for owner in training.owners
    )
    require_columns(sum(len(part.training.columns) for part in parts if part.training))
    return parts


def derive_score_part(
    owner: str,
    score: Score,
    pinned: Mapping[FeatureRef, PinnedFeature],
    charters: Mapping[str, str] = NO_CHARTERS,
) -> OwnerPart:
    """Derive the part of an owner whose features a score reads.

    Of several owners' sum nothing is left out: of whom an owner knows nothing, its part is as of
    everybody whom nothing is known of, and lies in a band like every other.

    Args:
        owner: whose part.
        score: what is scored.
        pinned: features by name; this owner's are enough.
        charters: of a score of several owners, the digests of charters in force by owner; this
            owner's is enough.

    Raises:
        SafeRoomError: as `derive_training_part`.
    """
    field, several = "score.features", score.job is not None
    if several and owner not in charters:
        raise SafeRoomError(Reason.BAD_CHARTER, f"{owner} has no charter in force")
    refs = [FeatureRef.parse(name) for name in score.features_of(owner)]
    require_defined(field, refs, pinned)
    definitions = {ref: pinned[ref].definition for ref in refs}
    silent = not several and any(each.absent is Absent.UNKNOWN for each in definitions.values())
    part = ScorePart.of(score, tuple(trained_columns(refs, definitions, field)), silent=silent)
    uses = tuple(use_by(pinned[ref], part.answers, charged=True) for ref in sorted(refs, key=str))
    return OwnerPart(
        owner=owner,
        charter=charters[owner] if several else None,
        formula="",
        features=uses,
        answers=0,
        needs_consent=any(use.charged for use in uses),
        score=part,
    )


def _use(pinned: PinnedFeature, cuts: int) -> FeatureUse:
    definition = pinned.definition
    if not pinned.may_be_asked:
        fault = FieldFault(
            "check", f"{definition.full_name} is of level 4: stated-value match only"
        )
        raise SafeRoomError(Reason.NOT_ALLOWED, definition.full_name, [fault])
    return FeatureUse(
        feature=definition.full_name,
        digest=pinned.digest,
        level=definition.level,
        family=definition.family,
        most_cells=pinned.shape.cells_told(cuts),
        charged=definition.level >= CONSENT_FROM_LEVEL,
    )


def derive_certificate(
    template: Envelope,
    features: Mapping[FeatureRef, PinnedFeature],
    charters: Mapping[str, str] = NO_CHARTERS,
) -> ReleaseCertificate:
    """Derive a template's release certificate from its bytes and the pinned features.

    Args:
        template: the statement.
        features: those that it reads, by name.
        charters: the digests of the owners' charters in force, by owner; looked at only where the
            owners' enclaves rest on each other's keys.
    """
    opened = load(template, Template)
    if opened.aggregate is not None:
        parts = table_parts(opened.aggregate, features, charters)
    elif opened.training is not None:
        parts = _training_parts(opened.training, features, charters)
    elif opened.report is not None:
        parts = tuple(derive_report_part(opened.report, each) for each in opened.report.owners)
    elif opened.listing is not None:
        parts = (derive_list_part(opened.listing),)
    elif opened.score is not None:
        parts = tuple(
            derive_score_part(each, opened.score, features, charters)
            for each in opened.score.owners
        )
    elif opened.fit is not None:
        parts = derive_fit_parts(opened.fit, features, charters)
    else:
        nodes = owner_parts(opened)
        pinned = pinned_charters(opened, nodes, charters)
        require_matchable(opened, nodes, features)
        parts = tuple(
            derive_part(owner, node, features, pinned.get(owner)) for owner, node in nodes.items()
        )
    return ReleaseCertificate(
        room=opened.room,
        template=template.digest,
        purposes=opened.purposes,
        returns=opened.returns,
        parts=parts,
    )
