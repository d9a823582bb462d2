"""Whose keys a private conjunction rests on: the charters that its release certificate pins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Returns, Template

NO_CHARTERS: Final[Mapping[str, str]] = MappingProxyType({})
_FEWEST_OWNERS: Final = 2
"""One owner's part would be the whole, and its answer without a share is simpler."""


def pinned_charters(
    template: Template, owners: Iterable[str], charters: Mapping[str, str]
) -> Mapping[str, str]:
    """Give the charters that a template's certificate pins, by owner; none unless it conjoins.

    Args:
        template: the template.
        owners: of its formula.
        charters: the digests of the charters in force, by owner.

    Raises:
        SafeRoomError: `MALFORMED` for a conjunction of one owner; `BAD_CHARTER` if one has no
            charter.
    """
    if template.returns is not Returns.CONJUNCTION:
        return NO_CHARTERS
    named = tuple(owners)
    if len(named) < _FEWEST_OWNERS:
        rule = "a conjunction is over two owners or more: of one, ask for the parts"
        raise SafeRoomError(Reason.MALFORMED, "returns", [FieldFault("returns", rule)])
    if missing := [owner for owner in named if owner not in charters]:
        raise SafeRoomError(Reason.BAD_CHARTER, f"{missing[0]} has no charter in force")
    return {owner: charters[owner] for owner in named}
