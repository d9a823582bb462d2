"""The charters of other owners, as far as private conjunctions with them rest on their keys.

Which of them counts is said by the release certificates that this owner's own approvers signed:
they name each by its digest. So nobody's signature is asked for here. A charter that another one
follows counts no more, since its owner may have had to give up its pairing key; what a server
brings for that only restricts, and whoever could bring a false one could as well bring nothing.
"""

from __future__ import annotations

from typing import Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Charter
from saferoom_proto.verification import PinnedCharter


class Peers:
    """Other owners' charters that this owner's stream brought."""

    def __init__(self) -> None:
        self._known: Final[dict[str, PinnedCharter]] = {}
        self._followed: Final[set[str]] = set()

    def clear(self) -> None:
        """Forget all of them."""
        self._known.clear()
        self._followed.clear()

    def take(self, statement: Envelope, charter: Charter) -> None:
        """Take in another owner's charter."""
        self._known[statement.digest] = PinnedCharter(charter, statement.digest)
        if charter.previous is not None:
            self._followed.add(charter.previous)

    def pinned(self, owner: str, digest: str | None) -> PinnedCharter:
        """Give the charter of another owner that a release certificate pins.

        Raises:
            SafeRoomError: `CERTIFICATE_MISMATCH` if it is not known, is another owner's, or was
                followed by another since: then the template needs fresh approval.
        """
        if digest is None or digest not in self._known:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, f"no such charter of {owner}")
        pinned = self._known[digest]
        if pinned.charter.owner != owner:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, f"not a charter of {owner}")
        if digest in self._followed:
            raise SafeRoomError(Reason.CERTIFICATE_MISMATCH, f"{owner} has a newer charter")
        return pinned
