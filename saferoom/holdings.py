"""A subject's request for what is held about it: passed on to the owner's enclave, and recorded.

The room sees who asked whom and when. What is shown is sealed to the subject.
"""

from __future__ import annotations

from typing import Final

from saferoom.evidence import Caller, Recorded
from saferoom.links import Links
from saferoom.session import Session
from saferoom.undisturbed import Undisturbed
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import HoldingsRequest, load

_Shown = tuple[Recorded[object], bytes]
"""The recorded disclosure, and what it seals."""


class Holdings:
    """Passes subjects' requests on and records what the enclaves say.

    Args:
        links: reaches the enclaves.
    """

    def __init__(self, links: Links) -> None:
        self._links: Final = links
        self._undisturbed: Final = Undisturbed()

    async def show(self, caller: Caller, request: Envelope) -> _Shown:
        """Have one owner's enclave show a subject what it holds about it.

        Raises:
            SafeRoomError: `MALFORMED`; `NOT_ALLOWED` unless the subject itself calls; `LOCKED` or
                `UNAVAILABLE`; whatever the enclave refuses with.
        """
        asked = load(request, HoldingsRequest)
        if asked.subject != caller.organisation:
            raise SafeRoomError(Reason.NOT_ALLOWED, "another subject's request")
        passing = self._pass_on(self._links.serving(asked.owner), request)
        return await self._undisturbed.run(passing)

    async def _pass_on(self, session: Session, request: Envelope) -> _Shown:
        shown = await session.disclose(request)
        return await session.outbox.take(shown.entry), shown.sealed
