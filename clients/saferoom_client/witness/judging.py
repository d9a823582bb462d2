"""A witness that judges: it reads every entry as an auditor, and cosigns only what it would pass.

So what no other witness can see stops the room, too: an enclave that was kept from a revocation
which stands in the log, an answer that nobody allowed. The charter's enclaves stop with the
cosignatures.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.audit.book import Book
from saferoom_client.audit.run import Auditor
from saferoom_client.log import LogTree, all_entries, checkpoint
from saferoom_client.members import whoami
from saferoom_client.profile import Profile
from saferoom_client.session import Session
from saferoom_client.tongue import later
from saferoom_client.values import Role
from saferoom_proto.checkpoint import Checkpoint
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


class Judging:
    """Judges the log up to each head that is to be cosigned; what was judged is not read again.

    Args:
        profile: whose pinned keys it judges by: an auditor's.
        since: the first entry to judge. A violation that stands in the log stays there: whoever
            has looked into it has the witness judge what came after.
    """

    def __init__(self, profile: Profile, since: int = 0) -> None:
        self._auditor: Final = Auditor(Book(profile.trust), profile.card.heads_keys, since)
        self._tree: Final = LogTree(profile.trust.suite)
        self._since: Final = since

    async def require_able(self, session: Session) -> None:
        """Check that the member is shown what entries are, and that there is something to judge.

        Raises:
            SafeRoomError: `NOT_ALLOWED` for no auditor's member; `MALFORMED` if the first entry to
                judge lies beyond the log, as nothing would be judged until it had grown there.
        """
        if Role.AUDITOR not in (await whoami(session)).roles:
            raise SafeRoomError(Reason.NOT_ALLOWED, later("only an auditor's witness can judge"))
        size = session.grounds.open_note(await checkpoint(session)).size
        if self._since > size:
            rule = f"the log has {size} entries"
            raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--since", rule)])

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
