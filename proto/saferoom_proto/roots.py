"""Following an owner's charters when their root is handed over.

Only the former root's own signature leads to another root. From its handover on it signs nothing
that counts: of a former root there are the charters that its last one leads back to, and no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter, RootHandover, load
from saferoom_proto.trust import Trust
from saferoom_proto.verification import PinnedCharter, open_charter, succeed_charter


def verify_root_handover(envelope: Envelope, room: str, owner: str) -> RootHandover:
    """Open a handover of an owner's root that both roots signed.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` if either did not; `BAD_CHARTER` for another owner's.
    """
    says = load(envelope, RootHandover)
    envelope.verify([VerifyKey.from_public(each) for each in (says.former, says.following)], 2)
    if (says.room, says.owner) != (room, owner):
        raise SafeRoomError(Reason.BAD_CHARTER, f"a root handover of {says.owner} in {says.room}")
    return says


@dataclass(frozen=True, slots=True)
class Line:
    """An owner's charters in their order, as far as they have come.

    Attributes:
        charter: the newest.
        root: the key that must sign the next one, base64.
    """

    charter: PinnedCharter
    root: str

    def after(self, statement: Envelope) -> Line:
        """Go on by the next charter, or by a handover of the root.

        Raises:
            SafeRoomError: `BAD_CHARTER`, `BAD_SIGNATURE`, `CONFLICT`, `MALFORMED`.
        """
        if statement.payload_type == RootHandover.payload_type():
            return self._handed_over(statement)
        return Line(succeed_charter(self.charter, statement, self.root), self.root)

    def _handed_over(self, statement: Envelope) -> Line:
        charter = self.charter.charter
        says = verify_root_handover(statement, charter.room, charter.owner)
        if says.former != self.root:
            raise SafeRoomError(Reason.CONFLICT, "that root does not sign the next charter")
        if (says.version, says.previous) != (charter.version + 1, self.charter.digest):
            detail = f"it follows another charter than the one in force, version {charter.version}"
            raise SafeRoomError(Reason.CONFLICT, detail)
        if says.following in _named(charter):
            raise SafeRoomError(Reason.BAD_CHARTER, "the new root is a key of the charter already")
        return Line(self.charter, says.following)


def line_of(charter: PinnedCharter, handovers: Iterable[RootHandover]) -> Line:
    """Give the line of a charter in force and the owner's verified handovers, oldest first."""
    root = charter.charter.root
    for each in handovers:
        if each.former == root:
            root = each.following
    return Line(charter, root)


def follow_root(
    statement: Envelope, *, room: str, owner: str, root: str, seen: tuple[int, str] | None
) -> RootHandover:
    """Open the handover by which whoever pinned a root goes over to the next one.

    Args:
        statement: the handover.
        room: its name.
        owner: whose root it is.
        root: that is pinned, base64.
        seen: version and digest of the newest charter that was gone by; none before the first.

    Raises:
        SafeRoomError: `BAD_SIGNATURE`; `BAD_CHARTER` if another root than the pinned one handed
            over; `CONFLICT` if it counts from before the newest charter, or follows another.
    """
    says = verify_root_handover(statement, room, owner)
    if says.former != root:
        raise SafeRoomError(Reason.BAD_CHARTER, "another root than the pinned one handed over")
    if seen is not None and seen[0] >= says.version:
        detail = f"it counts from version {says.version} on, and version {seen[0]} was seen"
        raise SafeRoomError(Reason.CONFLICT, detail)
    if seen is not None and seen[0] == says.version - 1 and seen[1] != says.previous:
        raise SafeRoomError(Reason.CONFLICT, f"it follows another charter of version {seen[0]}")
    return says


def open_followed(envelope: Envelope, root: str, last: str | None) -> PinnedCharter:
    """Open a charter under a root that took over, or the last one of the root before it.

    Args:
        envelope: the charter.
        root: the pinned key, base64.
        last: the digest of the former root's last charter; none if there was no handover.
    """
    if last is not None and envelope.digest == last:
        return open_charter(envelope, load(envelope, Charter).root)
    return open_charter(envelope, root)


def open_under(
    envelope: Envelope, owner: str, trust: Trust, handovers: Iterable[str] = ()
) -> PinnedCharter:
    """Open an owner's charter under its pinned root, one before that, or one that it leads to.

    Args:
        envelope: the charter.
        owner: whose it must be.
        trust: the pinned keys.
        handovers: that came with it, oldest first, as text: they lead a reader on who pinned a
            root of before.

    Raises:
        SafeRoomError: `BAD_CHARTER`; `BAD_SIGNATURE` for a handover that a root did not sign.
    """
    root = trust.root_of(owner)
    if envelope.digest in trust.former_charters(owner):
        root = load(envelope, Charter).root
    else:
        root = _led(load(envelope, Charter), root, owner, trust.origin, handovers)
    opened = open_charter(envelope, root)
    if (opened.charter.owner, opened.charter.room) != (owner, trust.origin):
        raise SafeRoomError(Reason.BAD_CHARTER, "the charter of another owner or room")
    return opened


def _led(charter: Charter, pinned: str, owner: str, room: str, handovers: Iterable[str]) -> str:
    """Give the root that the pinned one leads to, as far as this charter's."""
    for text in handovers:
        if pinned == charter.root:
            break
        says = verify_root_handover(Envelope.from_text(text), room, owner)
        if says.former == pinned and says.version <= charter.version:
            pinned = says.following
    return pinned


def _named(charter: Charter) -> set[str]:
    keys = {each.key for each in charter.approvers} | {each.key for each in charter.issuers}
    room = charter.room_keys
    return keys | {charter.key_agent, room.ledger, room.heads, charter.root}
