"""All enclaves of a room: started once their owners have a charter, reached by owner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saferoom.config import RunBy
from saferoom.ledger.ledger import Ledger
from saferoom.link import Link
from saferoom.logs import Log
from saferoom.place import LinkState, Place
from saferoom.register import Register
from saferoom.session import Office, Session
from saferoom.switchboard import OwnEnd
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

DELIVER_SECONDS: Final = 5.0
"""The longest that whoever hands in a statement waits for enclaves to take it."""


@dataclass(frozen=True, slots=True)
class EnclaveStatus:
    """How an owner's enclave does, for everyone."""

    owner: str
    state: LinkState
    sandbox_level: int
    sandbox_missing: tuple[str, ...]
    endorsement: str
    run_by: RunBy
    connected: bool
    fault: str
    """Why it cannot answer, as far as it is known; empty if nothing is wrong."""


@dataclass(frozen=True, slots=True)
class EnclaveFigures:
    """How one owner's enclave does.

    Attributes:
        owner: whose.
        state: how it does.
        head_age_seconds: since it took its last head; None before the first.
        followed: statements of its stream that it has taken.
        newest: the number of the newest statement in its stream.
        waiting: questions that wait for it.
        proofs_lacked: of how many of its own entries it lacks the proof.
    """

    owner: str
    state: LinkState
    head_age_seconds: float | None
    followed: int
    newest: int
    waiting: int
    proofs_lacked: int


class Links:
    """The room's links to its enclaves.

    Args:
        folder: below which each enclave has its own.
        places: where each kind of them runs.
        run_by: tells of an owner who starts its enclave.
        own: the room's end of their connections.
        register: gives the charters.
        office: what sessions work with.
        changed: called with an owner and its enclave's new state.
    """

    def __init__(
        self,
        folder: Path,
        *,
        places: Mapping[RunBy, Place],
        run_by: Callable[[str], RunBy],
        own: OwnEnd,
        register: Register,
        office: Office,
        changed: Callable[[str, LinkState], None],
    ) -> None:
        self._folder: Final = folder
        self._places: Final = places
        self._run_by: Final = run_by
        self._own: Final = own
        self._register: Final = register
        self._office: Final = office
        self._changed: Final = changed
        self._links: Final[dict[str, Link]] = {}
        self._tasks: Final[dict[str, asyncio.Task[None]]] = {}

    @property
    def _ledger(self) -> Ledger:
        return self._office.ledger

    @property
    def _log(self) -> Log:
        return self._office.log

    def start(self, owner: str) -> None:
        """Start an owner's enclave, or start it anew: its charter is new, or changed."""
        if owner in self._links:
            self._links[owner].restart()
            return
        link = Link(
            owner,
            self._folder / owner,
            place=self._places[self._run_by(owner)],
            own=self._own,
            register=self._register,
            office=self._office,
            changed=self._changed,
        )
        self._links[owner] = link
        self._changed(owner, link.state)
        self._tasks[owner] = asyncio.create_task(link.run(), name=f"enclave {owner}")

    async def stop(self) -> None:
        """End all enclaves."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        self._links.clear()

    def serving(self, owner: str) -> Session:
        """Give the session of an owner's enclave that serves.

        Raises:
            SafeRoomError: `LOCKED` or `UNAVAILABLE`; `UNKNOWN_STATEMENT` of who is no owner.
        """
        link = self._links.get(owner)
        if link is None and owner not in self._register.owners:
            fault = FieldFault("owner", f"{owner} is no data owner")
            raise SafeRoomError(Reason.UNKNOWN_STATEMENT, f"no enclave of {owner}", [fault])
        if link is None:
            raise SafeRoomError(Reason.UNAVAILABLE, f"{owner} has no enclave here")
        return link.serving()

    async def deliver(self, owners: Iterable[str]) -> None:
        """Wait until the enclaves of these owners have taken all of their streams so far.

        Waits for those that serve, and not for ever: a statement counts in the log already, and an
        enclave that is down gets it before it serves again.
        """
        async with asyncio.TaskGroup() as tasks:
            for owner in owners:
                tasks.create_task(self._bring_up_to_date(owner))

    def statuses(self) -> tuple[EnclaveStatus, ...]:
        """Tell how every enclave does, in order of the owners' names."""
        return tuple(
            _status(self._links[owner], self._run_by(owner)) for owner in sorted(self._links)
        )

    def figures(self) -> tuple[EnclaveFigures, ...]:
        """Give what is measured of every enclave, in order of the owners' names."""
        tip = self._ledger.tip()
        return tuple(
            _figures(self._links[owner], tip.stream(owner).sequence)
            for owner in sorted(self._links)
        )

    async def _bring_up_to_date(self, owner: str) -> None:
        sequence = self._ledger.tip().stream(owner).sequence
        try:
            async with asyncio.timeout(DELIVER_SECONDS):
                await self.serving(owner).reach(sequence)
        except TimeoutError:
            self._log.warning("enclave is slow to follow", owner=owner, sequence=sequence)
        except SafeRoomError as error:
            self._log.info("not delivered yet", owner=owner, reason=str(error.reason))


def _status(link: Link, run_by: RunBy) -> EnclaveStatus:
    session = link.session
    if session is None:
        return EnclaveStatus(
            link.owner, link.state, 0, (), "", run_by, connected=False, fault=link.fault
        )
    endorsed = session.endorsed
    return EnclaveStatus(
        link.owner,
        link.state,
        session.running.sandbox_level,
        session.running.sandbox_missing,
        "" if endorsed is None else endorsed.digest,
        run_by,
        connected=True,
        fault=session.fault or link.fault,
    )


def _figures(link: Link, newest: int) -> EnclaveFigures:
    session = link.session
    if session is None:
        return EnclaveFigures(link.owner, link.state, None, 0, newest, 0, 0)
    return EnclaveFigures(
        link.owner,
        link.state,
        session.head_age_seconds,
        session.followed,
        newest,
        session.waiting,
        session.outbox.proofs_lacked,
    )
