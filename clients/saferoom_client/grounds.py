"""What an answer rests on, verified once and kept by digest.

A digest names bytes for good, so a statement that verified under a charter verifies under it for
ever; only its validity in time is looked at again with every answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import randbelow
from typing import Final, Generic, TypeVar

from saferoom_proto.checkpoint import Checkpoint, parse_proof
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import unb64
from saferoom_proto.entry import commitment, leaf
from saferoom_proto.identity import Certified, verify_issued
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.roots import open_under
from saferoom_proto.statements import (
    Charter,
    Consent,
    Endorsement,
    Feature,
    JobAdmission,
    JobRelease,
    load,
)
from saferoom_proto.trust import Trust
from saferoom_proto.use_receipt import UseWord
from saferoom_proto.verification import (
    PinnedAgreement,
    PinnedCharter,
    verify_agreement,
    verify_approvals,
    verify_by_any_approver,
    verify_by_enclave,
    verify_endorsement,
    verify_subject_statement,
)
from saferoom_proto.wire import Recorded

K = TypeVar("K")
V = TypeVar("V")
UnderCharter = TypeVar("UnderCharter", bound=UseWord | JobAdmission | JobRelease)
"""The words of enclaves that name the charter they were said under."""

MOST_STATEMENTS: Final = 16_384
"""Consents are the many ones: at about 4 KiB each, 64 MiB at most."""
MOST_MET: Final = 32
"""Each is one small question to the room when it is held against the log."""
MOST_NOTES: Final = 1024
"""Answers of one group commit share a checkpoint; older ones seldom come back."""


class Kept(Generic[K, V]):
    """The most recently used values, up to a number."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._values: Final[OrderedDict[K, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Give a value that is still kept."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def clear(self) -> None:
        """Let everything go."""
        self._values.clear()

    def put(self, key: K, value: V) -> V:
        """Keep a value, and let the longest unused one go."""
        self._values[key] = value
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class VerifiedConsent:
    """A consent whose signature was verified, and who certifiably made it."""

    consent: Consent
    signer: Certified


class Grounds:
    """Statements by digest, and what was verified about them under the pinned keys.

    Args:
        trust: gives the pinned keys.
        fetch: brings a statement from the room by its digest.
        fetch_charter: brings an owner's charter in force.
    """

    def __init__(
        self,
        trust: Callable[[], Trust],
        fetch: Callable[[str], Awaitable[Envelope]],
        fetch_charter: Callable[[str], Awaitable[Envelope]],
    ) -> None:
        self._trust: Final = trust
        self._fetch: Final = fetch
        self._fetch_charter: Final = fetch_charter
        self._statements: Final[Kept[str, Envelope]] = Kept(MOST_STATEMENTS)
        self._charters: Final[Kept[tuple[str, str], PinnedCharter]] = Kept(MOST_NOTES)
        self._endorsements: Final[Kept[tuple[str, str], Endorsement]] = Kept(MOST_NOTES)
        self._agreements: Final[Kept[tuple[str, str], PinnedAgreement]] = Kept(MOST_NOTES)
        self._features: Final[Kept[tuple[str, str], Feature]] = Kept(MOST_NOTES)
        self._consents: Final[Kept[tuple[str, str], VerifiedConsent]] = Kept(MOST_STATEMENTS)
        self._approved: Final[Kept[tuple[str, ...], tuple[str, ...]]] = Kept(MOST_NOTES)
        self._notes: Final[Kept[str, Checkpoint]] = Kept(MOST_NOTES)
        self._met: Final[list[Checkpoint]] = []
        self._met_count = 0
        self._newest: Checkpoint | None = None

    def keep(self, *envelopes: Envelope) -> None:
        """Keep statements that came some other way, to be had by digest."""
        for envelope in envelopes:
            self._statements.put(envelope.digest, envelope)

    async def statement(self, digest: str) -> Envelope:
        """Give the statement of a digest, fetched if it is not kept.

        Raises:
            SafeRoomError: `BAD_PROOF` if the room gives other bytes than the digest's.
        """
        if (kept := self._statements.get(digest)) is not None:
            return kept
        envelope = await self._fetch(digest)
        if envelope.digest != digest:
            raise SafeRoomError(Reason.BAD_PROOF, "the room gave another statement than asked")
        return self._statements.put(digest, envelope)

    def open_charter(self, owner: str, envelope: Envelope) -> PinnedCharter:
        """Open an owner's charter under its pinned root.

        Raises:
            SafeRoomError: `BAD_CHARTER`; also where no root of that owner is pinned.
        """
        trust = self._trust()
        root = trust.charter_roots.get(owner)
        if root is None:
            detail = f"no charter root of {owner} is pinned; ask {owner} for it, then pin it"
            raise SafeRoomError(Reason.BAD_CHARTER, detail)
        key = (root, envelope.digest)
        if (kept := self._charters.get(key)) is not None and kept.charter.owner == owner:
            return kept
        try:
            charter = open_under(envelope, owner, trust)
        except SafeRoomError as refusal:
            if load(envelope, Charter).root != root:
                # If the root was handed over, this leads on.
                refusal.add_note(f"saferoom trust follow {owner}")
            raise
        self.keep(envelope)
        return self._charters.put(key, charter)

    def handovers_to(self, owner: str, *charters: Envelope) -> tuple[str, ...]:
        """Give the handovers that led to the newest root of these charters, for a receipt."""
        trust = self._trust()
        led = (trust.handovers_to(owner, load(each, Charter).root) for each in charters)
        return max(led, key=len, default=())

    async def charter(self, owner: str, digest: str | None = None) -> PinnedCharter:
        """Give an owner's charter: the one of a digest, or else the one in force."""
        if digest is None:
            return self.open_charter(owner, await self._fetch_charter(owner))
        return self.open_charter(owner, await self.statement(digest))

    async def endorsement(
        self, digest: str, charter: PinnedCharter, moment: datetime
    ) -> Endorsement:
        """Give a verified endorsement that was in force at a moment."""
        key = (charter.digest, digest)
        if (kept := self._endorsements.get(key)) is not None:
            kept.require_valid(moment)
            return kept
        envelope = await self.statement(digest)
        return self._endorsements.put(key, verify_endorsement(envelope, charter, moment))

    async def word(
        self, statement: Envelope, kind: type[UnderCharter]
    ) -> tuple[UnderCharter, PinnedCharter]:
        """Open an enclave's word under the charter and the endorsement that it names.

        Returns:
            What it said, which is the caller's to compare with what was asked, and the charter.

        Raises:
            SafeRoomError: the reason names the first step that fails.
        """
        # Step 1: the owner's charter, and the enclave that its key agent endorsed.
        said = load(statement, kind)
        charter = await self.charter(said.owner, said.charter)
        endorsement = await self.endorsement(said.endorsement, charter, said.time)
        # Step 2: the enclave's signature.
        return verify_by_enclave(statement, endorsement, said.endorsement, kind), charter

    async def agreement(self, digest: str, charter: PinnedCharter) -> PinnedAgreement:
        """Give a verified agreement; what it covers, and when, is the caller's to check."""
        key = (charter.digest, digest)
        if (kept := self._agreements.get(key)) is not None:
            return kept
        return self._agreements.put(key, verify_agreement(await self.statement(digest), charter))

    async def consent(self, digest: str, charter: PinnedCharter, moment: datetime) -> Consent:
        """Give a verified consent; what it covers, and when, is the caller's to check."""
        key = (charter.digest, digest)
        verified = self._consents.get(key)
        if verified is None:
            envelope = await self.statement(digest)
            consent = load(envelope, Consent)
            verify_subject_statement(envelope, consent, charter, moment)
            signer = verify_issued(unb64(consent.certificate), charter.issuer_certificates)
            verified = self._consents.put(key, VerifiedConsent(consent, signer))
        verified.signer.require_valid(moment)
        return verified.consent

    async def approvals(
        self, digests: Sequence[str], charter: PinnedCharter, template: str, certificate: str
    ) -> tuple[str, ...]:
        """Verify that enough of these approvals count, and give the digests of those that do."""
        key = (charter.digest, template, certificate, *digests)
        if (kept := self._approved.get(key)) is not None:
            return kept
        envelopes = [await self.statement(digest) for digest in digests]
        counted = verify_approvals(charter, envelopes, template, certificate)
        return self._approved.put(key, counted)

    def feature(self, envelope: Envelope, charter: PinnedCharter) -> Feature:
        """Give a feature that an approver of its owner signed."""
        key = (charter.digest, envelope.digest)
        if (kept := self._features.get(key)) is not None:
            return kept
        feature = verify_by_any_approver(envelope, charter, Feature)
        self.keep(envelope)
        return self._features.put(key, feature)

    def require_recorded(self, recorded: Recorded) -> tuple[Checkpoint, int]:
        """Verify that a statement stands in the pinned room's log.

        Returns:
            The checkpoint it stands under, and its index.

        Raises:
            SafeRoomError: `BAD_PROOF`, or `BAD_SIGNATURE` for a checkpoint of another log.
        """
        proof = parse_proof(recorded.proof)
        checkpoint = self.open_note(proof.note)
        entry = leaf(commitment(recorded.salt, recorded.statement.digest))
        proof.require_under(entry, checkpoint, recorded.statement.suite)
        return checkpoint, proof.index

    def forget_notes(self) -> None:
        """Verify every checkpoint anew: the pinned keys are others now."""
        self._notes.clear()

    def open_note(self, note: str) -> Checkpoint:
        """Open a checkpoint under the pinned ledger key, once for all answers that share it.

        Raises:
            SafeRoomError: `BAD_PROOF` for a second tree of a size already seen.
        """
        if (kept := self._notes.get(note)) is not None:
            return kept
        try:
            checkpoint = self._trust().open_checkpoint(note)
        except SafeRoomError as refusal:
            if refusal.reason is Reason.BAD_SIGNATURE:
                # If the key was handed over, this leads on.
                refusal.add_note("saferoom room follow")
            raise
        newest = self._newest
        if newest is not None and (newest.size, newest.root) == (checkpoint.size, checkpoint.root):
            return self._notes.put(note, checkpoint)
        if newest is not None and newest.size == checkpoint.size:
            raise SafeRoomError(Reason.BAD_PROOF, f"two logs of size {checkpoint.size}")
        if newest is None or checkpoint.size > newest.size:
            self._newest = checkpoint
        self._meet(checkpoint)
        return self._notes.put(note, checkpoint)

    def met(self) -> tuple[Checkpoint, ...]:
        """Give the heads that were met since they were last held against the log."""
        return tuple(self._met)

    def forget_met(self, heads: Sequence[Checkpoint]) -> None:
        """Let go of heads that were found to be the log's."""
        self._met[:] = [each for each in self._met if each not in heads]
        self._met_count = len(self._met)

    def _meet(self, checkpoint: Checkpoint) -> None:
        """Remember a head; of many, some that nobody can foretell."""
        self._met_count += 1
        if len(self._met) < MOST_MET:
            self._met.append(checkpoint)
        elif (place := randbelow(self._met_count)) < MOST_MET:
            self._met[place] = checkpoint
