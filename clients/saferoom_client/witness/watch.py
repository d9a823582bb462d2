"""Watching a log: one look after another, each cosigned only if the log only grew since the last.

What a witness saw is on its disk before its cosignature leaves it. A witness killed between the two
has said nothing, and goes on from what it stored.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from saferoom_client.events import Event, Happening, Tell, ignore_events
from saferoom_client.files import bad_file
from saferoom_client.profile import ROOM, Profile
from saferoom_client.refused import Refused
from saferoom_client.session import Clock, Session, utc_now
from saferoom_client.witness.folder import Misdeed, Witness
from saferoom_client.witness.judging import Judging
from saferoom_proto.checkpoint import Checkpoint, open_checkpoint
from saferoom_proto.merkle import verify_consistency
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.v1 import ledger_pb2

EVERY_SECONDS: Final = 5.0
LEAST_SECONDS: Final = 2.0
"""The room takes one word a second of each organisation."""
LONGEST_PAUSE_SECONDS: Final = 60.0


class CaughtError(SafeRoomError):
    """The room's log is not what it was: evidence of it is kept."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to."""

    checkpoint: Checkpoint
    grown: int
    """Entries since the look before."""
    time: int
    """What the cosignature says, in seconds since 1970."""


async def look(session: Session, witness: Witness, judging: Judging | None = None) -> Looked:
    """Look at the log once, and cosign its head if it extends what was cosigned before.

    Args:
        session: of a member of the witness's organisation.
        witness: its folder.
        judging: judges every entry first, for a witness of an auditor's.

    Raises:
        CaughtError: `BAD_PROOF` or `BAD_SIGNATURE`; nothing was cosigned.
        Refused: the room does not answer, shows nothing to cosign, or does not take the word.
    """
    # Step 1: the head that all witnesses are to cosign, signed by the log's own key.
    told = await session.call(session.ledger.GetCheckpoint, ledger_pb2.GetCheckpointRequest())
    head = _opened(witness, told.to_cosign)
    # Step 2: it begins with everything seen before.
    seen = witness.seen_checkpoint
    if seen is not None:
        await _require_extends(session, witness, seen, head, told.to_cosign)
    if judging is not None:
        try:
            await judging.require_sound(session, head)
        except Refused:
            raise
        except SafeRoomError as error:
            raise _caught(witness, Misdeed.VIOLATED, told.to_cosign, error) from error
    # Step 3: stored, and only then cosigned and handed in.
    witness.keep(told.to_cosign)
    time = int(session.clock().timestamp())
    ask = ledger_pb2.AddCosignatureRequest(
        key=witness.cosigner.key.text, size=head.size, line=witness.cosigner.cosign(head, time)
    )
    await session.call(session.ledger.AddCosignature, ask)
    return Looked(head, head.size - (seen.size if seen else 0), time)


async def watch(
    witness: Witness,
    profile: Profile,
    *,
    judging: Judging | None = None,
    every_seconds: float = EVERY_SECONDS,
    on_event: Tell = ignore_events,
    clock: Clock = utc_now,
) -> None:
    """Look at the log again and again, until cancelled or the room is caught.

    Raises:
        CaughtError: the log was rewritten, cut or forked, or is signed by another key.
        SafeRoomError: `UNAUTHENTICATED` or `CERTIFICATE_REVOKED`.
    """
    pause = every_seconds
    cosigned_at = 0
    async with Session(profile, clock=clock) as session:
        while True:
            try:
                if judging is not None and not cosigned_at:
                    await judging.require_able(session)
                looked = await look(session, witness, judging)
            except Refused as refused:
                if refused.reason in _FINAL:
                    raise
                on_event(Event(Happening.WAITING, f"{refused.reason}: {refused.detail}"))
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            except CaughtError:
                witness.show_figures(cosigned_at)
                raise
            else:
                if looked.grown or not cosigned_at:
                    size = f"{looked.checkpoint.size:,} entries, {looked.grown:,} of them new"
                    on_event(Event(Happening.COSIGNED, size))
                cosigned_at, pause = looked.time, every_seconds
            witness.show_figures(cosigned_at)
            # Jitter keeps the witnesses of one room from coming all at once.
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))  # noqa: S311 - no secret


def require_same_room(witness: Witness, profile: Profile) -> Witness:
    """Refuse with `BAD_CONFIG` a member folder of another room than the witness watches.

    Returns:
        The witness; where the member followed the log's key to the next (`saferoom room follow`),
        it goes by that one from now on.
    """
    watched, trust = witness.watched, profile.trust
    former = {each.key for each in trust.former_ledger_keys}
    if watched.origin != trust.origin or watched.ledger_key not in {trust.ledger_key, *former}:
        raise bad_file(profile.folder / ROOM, f"it is of another room than {witness.folder}")
    return witness.go_by(trust.ledger_key)


_FINAL: Final = frozenset({Reason.UNAUTHENTICATED, Reason.CERTIFICATE_REVOKED})
"""What no waiting mends; an organisation that is not enrolled yet may be at the next try."""


def _opened(witness: Witness, note: str) -> Checkpoint:
    if not note:  # of a room from before there were witnesses: it signed nothing wrong
        silent = SafeRoomError(Reason.UNAVAILABLE, "the room shows no head to cosign")
        raise Refused(silent, {})
    try:
        return open_checkpoint(note, witness.watched.origin, witness.log_key)
    except SafeRoomError as error:
        raise _caught(witness, Misdeed.NOT_SIGNED, note, error) from error


async def _require_extends(
    session: Session, witness: Witness, seen: Checkpoint, head: Checkpoint, note: str
) -> None:
    if head.size < seen.size:
        detail = f"the log had {seen.size} entries and now has {head.size}"
        raise _caught(witness, Misdeed.TRUNCATED, note, SafeRoomError(Reason.BAD_PROOF, detail))
    if seen.size == 0:
        return  # everything extends the empty log
    hashes: tuple[bytes, ...] = ()
    if head.size > seen.size:
        ask = ledger_pb2.GetConsistencyRequest(size1=seen.size, size2=head.size)
        hashes = tuple((await session.call(session.ledger.GetConsistency, ask)).hashes)
    try:
        suite = witness.log_key.suite
        verify_consistency(seen.size, head.size, hashes, seen.root, head.root, suite=suite)
    except SafeRoomError as error:
        misdeed = Misdeed.REWRITTEN if head.size > seen.size else Misdeed.FORKED
        raise _caught(witness, misdeed, note, error, hashes) from error


def _caught(
    witness: Witness,
    misdeed: Misdeed,
    note: str,
    error: SafeRoomError,
    proof: tuple[bytes, ...] = (),
) -> CaughtError:
    path = witness.accuse(misdeed, error.detail, note, proof)
    caught = CaughtError(error.reason, f"{misdeed}: {error.detail}")
    caught.add_note(f"saferoom witness show {witness.folder}: the evidence is {path}")
    return caught
