"""A witness that judges: it reads every entry as an auditor, and cosigns only what it would pass.

So what no other witness can see stops the room, too: an enclave that was kept from a revocation
which stands in the log, an answer that nobody allowed. The charter's enclaves stop with the
cosignatures.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.audit.book import Book
from saferoom_client.audit.run import Auditor
from saferoom_client.log import LogTree, all_entries
from saferoom_client.members import whoami
from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_client.values import Role
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.reasons import Reason, SafeRoomError


class Judging:
    """Judges the log up to each head that is to be cosigned; what was judged is not read again.

    Args:
        profile: whose pinned keys it judges by: an auditor's.
        since: the first entry to judge. A violation that stands in the log stays there: whoever
            has looked into it has the witness judge what came after.
    """

    def __init__(self, profile: Profile, since: int = 0) -> None:
        self._auditor: Final = Auditor(Book(profile.trust), profile.card.heads_keys, since)
        self._tree: Final = LogTree()

    async def require_auditor(self, session: Session) -> None:
        """Refuse with `NOT_ALLOWED` a member that is not shown what entries are."""
        if Role.AUDITOR not in (await whoami(session)).roles:
            raise SafeRoomError(Reason.NOT_ALLOWED, "only an auditor's witness can judge")

    async def require_sound(self, session: Session, head: Checkpoint) -> None:
        """Read what the log has beyond what was judged, and judge it.

        Raises:
            SafeRoomError: `BAD_PROOF` if the entries do not lead to the head; the reason of the
                first violation.
        """
        async for entry in all_entries(session, head.size, start=len(self._tree)):
            self._tree.add(entry.leaf)
            self._auditor.take(entry)
        self._tree.require_root(head)
        for found in self._auditor.violations:
            detail = f"entry {found.entry}: {found.what}; saferoom audit verify tells all"
            raise SafeRoomError(found.reason, detail)
