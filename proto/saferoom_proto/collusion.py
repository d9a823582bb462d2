"""Which institutions share what they learn: the collusion groups that agreements ever named.

What an institution was told it still knows when its next agreement names another group. So groups
that had a member in common, at whatever time, are linked for good: what one of them asked counts to
the budgets of the others.
"""

from __future__ import annotations

from typing import Final


class CollusionGroups:
    """The groups of all agreements that an owner ever signed, in force or not."""

    def __init__(self) -> None:
        self._members: Final[dict[str, set[str]]] = {}
        self._of: Final[dict[str, set[str]]] = {}
        self._linked: Final[dict[str, tuple[str, ...]]] = {}

    def take(self, institution: str, group: str) -> None:
        """Let an agreement that put an institution into a group count."""
        if group not in (known := self._of.setdefault(institution, set())):
            known.add(group)
            self._members.setdefault(group, set()).add(institution)
            self._linked.clear()

    def clear(self) -> None:
        """Begin again with none."""
        for each in (self._members, self._of, self._linked):
            each.clear()

    def institutions(self) -> dict[str, tuple[str, ...]]:
        """Give the institutions that were ever in each group."""
        return {group: tuple(sorted(names)) for group, names in self._members.items()}

    def knowing(self, group: str) -> frozenset[str]:
        """Give the institutions that know what a group is told: all that were ever linked."""
        return frozenset(
            name for each in self.linked(group) for name in self._members.get(each, ())
        )

    def linked(self, group: str) -> tuple[str, ...]:
        """Give the groups that share what they learn with one, itself included, in order."""
        found = self._linked.get(group)
        if found is None:
            found = self._linked[group] = tuple(sorted(self._reached(group)))
        return found

    def _reached(self, group: str) -> set[str]:
        reached, ahead = {group}, [group]
        while ahead:
            for institution in self._members.get(ahead.pop(), ()):
                new = self._of[institution] - reached
                reached |= new
                ahead += new
        return reached
