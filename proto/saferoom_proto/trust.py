"""What a member of a room pinned when it joined: all that offline verification rests on."""

from __future__ import annotations

import operator
from typing import Annotated, Final

from pydantic import Field

from saferoom_proto.checkpoint import Checkpoint, Note, key_id, open_checkpoint
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.base import Digest, Owner, Part, PublicKey
from saferoom_proto.suite import Suite


class FormerKey(Part):
    """A key that signed the log's checkpoints once, and handed over to the next."""

    key: PublicKey
    size: Annotated[int, Field(ge=0)]
    """Of the largest log under its signature alone: the handover is the entry after it."""


class FormerRoot(Part):
    """A root that signed an owner's charters once, and handed over to the next."""

    root: PublicKey
    charters: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=1024)]
    """All that it signed, oldest first; nothing else of it counts any more."""
    handover: Annotated[str, Field(max_length=64 * 1024)]
    """The statement by which it handed over: a DSSE envelope, JSON."""


class UnpinnedError(SafeRoomError):
    """An owner whose charter root the reader has not pinned (`BAD_CHARTER`)."""

    def __init__(self, owner: str) -> None:
        super().__init__(Reason.BAD_CHARTER, f"no pinned charter root for {owner}")
        self.owner: Final = owner


class Trust(Part):
    """The keys a member of the room pinned when it joined: all that verification rests on."""

    origin: str
    ledger_key: PublicKey
    charter_roots: dict[Owner, PublicKey]
    former_ledger_keys: Annotated[
        tuple[FormerKey, ...], Field(max_length=64, exclude_if=operator.not_)
    ] = ()
    """Those that the pinned key took over from, as long as they are not known to be stolen.

    Most files lack it, and are written without it: readers from before know no such field.
    """

    former_charter_roots: Annotated[
        dict[Owner, Annotated[tuple[FormerRoot, ...], Field(min_length=1, max_length=64)]],
        Field(exclude_if=operator.not_),
    ] = {}  # noqa: RUF012 - pydantic copies it
    """Those that the pinned roots took over from, oldest first; left out likewise."""

    @property
    def suite(self) -> Suite:
        """The room's crypto suite: that of the key which signs its log."""
        return VerifyKey.from_public(self.ledger_key).suite

    def root_of(self, owner: str) -> PublicKey:
        """Give an owner's pinned charter root.

        Raises:
            UnpinnedError: none is.
        """
        if owner not in self.charter_roots:
            raise UnpinnedError(owner)
        return self.charter_roots[owner]

    def former_charters(self, owner: str) -> frozenset[str]:
        """Give the digests of the charters that an owner's former roots signed in their time."""
        former = self.former_charter_roots.get(owner, ())
        return frozenset(digest for each in former for digest in each.charters)

    def root_after(self, owner: str, root: str) -> str | None:
        """Give the root that a former one of an owner handed over to; none if it is no former."""
        former = [each.root for each in self.former_charter_roots.get(owner, ())]
        following = [*former[1:], self.charter_roots.get(owner)]
        return dict(zip(former, following, strict=True)).get(root) if former else None

    def handovers_to(self, owner: str, root: str) -> tuple[str, ...]:
        """Give the handovers that led to a root of an owner, for readers who pinned one before."""
        former = self.former_charter_roots.get(owner, ())
        roots = [*(each.root for each in former), self.charter_roots.get(owner)]
        place = roots.index(root) if root in roots else 0
        return tuple(each.handover for each in former[:place])

    def open_checkpoint(self, note: str) -> Checkpoint:
        """Read a checkpoint of the pinned room's log.

        Raises:
            SafeRoomError: `MALFORMED`; `BAD_SIGNATURE` if neither the pinned key signed it, nor a
                former one in its time.
        """
        pinned = VerifyKey.from_public(self.ledger_key)
        signed = {(each.name, each.key_id) for each in Note.parse(note).signatures}
        former = [
            (open_checkpoint(note, self.origin, key), each.size)
            for each in self.former_ledger_keys
            if (self.origin, key_id(self.origin, key := VerifyKey.from_public(each.key))) in signed
        ]
        if not former or (self.origin, key_id(self.origin, pinned)) in signed:
            return open_checkpoint(note, self.origin, pinned)
        for checkpoint, size in former:
            if checkpoint.size <= size:
                return checkpoint
        raise SafeRoomError(Reason.BAD_SIGNATURE, "by a former key of the log, after its time")
