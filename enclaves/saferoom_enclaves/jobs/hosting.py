"""A host's side of a job of several owners: it asks the other owners' enclaves, and hears them."""

from __future__ import annotations

from typing import Final

from saferoom_enclaves.jobs import between
from saferoom_enclaves.jobs.between import Ask, Given, Step
from saferoom_enclaves.jobs.course import Due
from saferoom_enclaves.jobs.ground import JobGround
from saferoom_enclaves.jobs.peers import Papers, Peer, Peers
from saferoom_enclaves.journal import Judged
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import JobOutcome

_ENDINGS: Final = frozenset({JobOutcome.REFUSED, JobOutcome.CANCELLED, JobOutcome.FAILED})


class OtherEndedError(SafeRoomError):
    """The job has ended at a giver, and so ends here."""

    def __init__(self, owner: str, given: Given) -> None:
        super().__init__(given.reason or Reason.CONFLICT, f"the job is over at {owner}")
        self.owner: Final = owner
        self.given: Final = given

    @property
    def ending(self) -> tuple[JobOutcome, Reason]:
        """How the job ends here."""
        outcome, reason = self.given.outcome, self.given.reason
        if outcome is None or outcome not in _ENDINGS or reason is None:
            # With a model, or by its institution: then this enclave is told by those themselves.
            return JobOutcome.FAILED, Reason.CONFLICT
        return outcome, reason


class JobHosting:
    """Asks givers.

    Args:
        ground: what jobs are held to.
        peers: verifies enclaves.
    """

    def __init__(self, ground: JobGround, peers: Peers) -> None:
        self._book: Final = ground.book
        self._peers: Final = peers

    def ask(
        self, job: str, certificate: str, papers: Papers, step: Step, body: bytes
    ) -> tuple[Ask, Peer]:
        """Seal an ask to a giver.

        Raises:
            SafeRoomError: what `Peers.verified` refuses; a plain refusal.
        """
        now = self._book.ready().now
        peer = self._peers.verified(papers, certificate, now)
        return between.make_ask(job, step, self._peers.own, peer, body), peer

    def told(self, ask: Ask, peer: Peer, sealed: bytes) -> tuple[Given, bytes]:
        """Open a giver's answer: what it tells, and the bytes that go with it.

        Raises:
            OtherEndedError: the job is over at the giver.
            SafeRoomError: `BAD_SEAL`, `MALFORMED`.
        """
        given, body = between.open_answer(ask, peer, self._peers.sealing, sealed)
        if given.outcome is not None:
            raise OtherEndedError(peer.owner, given)
        return given, body

    def ended(self, due: Due, at_giver: OtherEndedError) -> Judged:
        """End a job as it ended at a giver."""
        outcome, reason = at_giver.ending
        return self._book.end(due.record, outcome, reason, self._book.ready())
