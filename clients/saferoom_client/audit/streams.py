"""What each enclave had heard at each place of its stream, worked out again from the log.

Every word of an enclave names how far it had followed: a number and a running hash over all that it
was brought. The log says what it should have been brought. If the two differ, the server brought it
something else, or left something out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from saferoom_proto import chain
from saferoom_proto.certificate import ReleaseCertificate, owners_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import (
    Agreement,
    AgreementEnd,
    Approval,
    CertificateRevocation,
    Charter,
    Consent,
    ConsentRevocation,
    Feature,
    Pause,
    RootHandover,
    Schema,
    StreamPosition,
    Template,
    Withdrawal,
    load,
)
from saferoom_proto.suite import suite_of

_ALL: Final = frozenset(
    kind.payload_type() for kind in (Feature, Consent, ConsentRevocation, CertificateRevocation)
)
"""Followed by every owner; a new owner is brought those from before its time after its charter."""
_OF: Final[Mapping[str, Callable[[Envelope], Iterable[str]]]] = {
    RootHandover.payload_type(): lambda said: (load(said, RootHandover).owner,),
    Schema.payload_type(): lambda said: (load(said, Schema).owner,),
    Agreement.payload_type(): lambda said: (load(said, Agreement).owner,),
    AgreementEnd.payload_type(): lambda said: (load(said, AgreementEnd).owner,),
    Approval.payload_type(): lambda said: (load(said, Approval).owner,),
    Withdrawal.payload_type(): lambda said: (load(said, Withdrawal).owner,),
    Pause.payload_type(): lambda said: (load(said, Pause).owner,),
    Template.payload_type(): lambda said: owners_of(load(said, Template)),
}
"""Whose stream gets a statement: as `saferoom/rules.py` has it. `Streams` knows two kinds more."""


@dataclass(slots=True)
class _Stream:
    """One owner's stream: at each place its running hash, and the newest entry heard of."""

    running: list[str] = field(default_factory=list[str])
    reach: list[int] = field(default_factory=list[int])

    def follow(self, entry: int, whole: str) -> None:
        before = self.running[-1] if self.running else chain.genesis(suite_of(whole))
        self.running.append(chain.extend(before, whole))
        self.reach.append(max(entry, self.reach[-1] if self.reach else 0))


class Streams:
    """Every owner's stream, as far as the log has been read."""

    def __init__(self) -> None:
        self._of: Final[dict[str, _Stream]] = {}
        self._for_all: Final[list[tuple[int, str]]] = []
        self._charters: Final[dict[str, tuple[int, str]]] = {}
        """Of each owner the newest: its entry, and what streams count it by."""
        self._resting: Final[dict[str, set[str]]] = {}
        """Whose enclaves rest on each owner's keys, its own among them."""

    def take(self, entry: int, statement: Envelope) -> None:
        """Bring the log's next statement to those that follow it."""
        if statement.payload_type in _ALL:
            for stream in self._of.values():
                stream.follow(entry, statement.whole)
            self._for_all.append((entry, statement.whole))
        elif statement.payload_type == Charter.payload_type():
            self._take_charter(entry, statement, load(statement, Charter).owner)
        elif statement.payload_type == ReleaseCertificate.payload_type():
            self._take_certificate(entry, statement, load(statement, ReleaseCertificate))
        elif (named := _OF.get(statement.payload_type)) is not None:
            for owner in named(statement):
                self._follow(owner, entry, statement)

    def _take_charter(self, entry: int, statement: Envelope, owner: str) -> None:
        """Bring a charter to its owner, and to those who rest on the one before."""
        self._charters[owner] = entry, statement.whole
        for each in sorted({owner} | self._resting.get(owner, set())):
            self._follow(each, entry, statement)

    def _take_certificate(
        self, entry: int, statement: Envelope, certificate: ReleaseCertificate
    ) -> None:
        """Bring a certificate to its owners, and after it the charters that it pins."""
        owners = [part.owner for part in certificate.parts]
        for owner in owners:
            self._follow(owner, entry, statement)
        pinned = [part.owner for part in certificate.parts if part.charter is not None]
        for owner in pinned:
            self._resting.setdefault(owner, set()).update(pinned)
            if (charter := self._charters.get(owner)) is not None:
                for each in owners:
                    self._of[each].follow(*charter)

    def _follow(self, owner: str, entry: int, statement: Envelope) -> None:
        first = owner not in self._of
        stream = self._of.setdefault(owner, _Stream())
        stream.follow(entry, statement.whole)
        if first:
            for earlier, whole in self._for_all:
                stream.follow(earlier, whole)

    def heard(self, owner: str, position: StreamPosition) -> int:
        """Tell up to which entry of the log an enclave had heard.

        Returns:
            The newest entry that it had been brought; -1 before the first.

        Raises:
            SafeRoomError: `BROKEN_STREAM` if it had been brought something else than the log says.
        """
        stream = self._of.get(owner, _Stream())
        place = position.sequence
        if place > len(stream.running):
            raise SafeRoomError(Reason.BROKEN_STREAM, "it had heard more than the log holds")
        first = chain.genesis(suite_of(position.running))
        running = first if place == 0 else stream.running[place - 1]
        if running != position.running:
            raise SafeRoomError(
                Reason.BROKEN_STREAM, "it had heard something else than the log has"
            )
        return -1 if place == 0 else stream.reach[place - 1]

    def reached(self, owner: str, place: int) -> int:
        """Give the newest entry that an enclave had been brought at a place of its stream."""
        stream = self._of.get(owner, _Stream())
        return stream.reach[min(place, len(stream.reach)) - 1] if place and stream.reach else -1
