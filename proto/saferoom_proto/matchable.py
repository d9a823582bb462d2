"""What a blind match may ask: one value of one owner, which only the asker knows."""

from __future__ import annotations

from collections.abc import Mapping

from saferoom_proto.formula import FeatureKind, FeatureRef, IsIn, Node
from saferoom_proto.pinned import PinnedFeature
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Returns, Template


def require_matchable(
    template: Template, parts: Mapping[str, Node], pinned: Mapping[FeatureRef, PinnedFeature]
) -> None:
    """Refuse a template that returns a blind match and asks anything else.

    Raises:
        SafeRoomError: `MALFORMED` unless its formula is `owner.feature = :parameter`, of a feature
            of which values are stated.
    """
    if template.returns is not Returns.BLIND:
        return
    (part, *others) = parts.values()
    if others or not isinstance(part, IsIn) or _kind(part, pinned) is not FeatureKind.STATED:
        rule = "a blind match asks of one feature of stated values: owner.feature = :parameter"
        raise SafeRoomError(Reason.MALFORMED, "returns", [FieldFault("returns", rule)])


def _kind(part: IsIn, pinned: Mapping[FeatureRef, PinnedFeature]) -> FeatureKind:
    return pinned[part.feature].shape.kind
