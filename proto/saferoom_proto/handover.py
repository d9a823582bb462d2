"""Following a room's keys from those that somebody pinned to those that sign now.

Only the former key's own signature leads to another key. So whoever pinned a key follows nobody
whom its holder did not name, whatever the server says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import KeyHandover, KeyUse, load


@dataclass(frozen=True, slots=True)
class Handover:
    """A verified handover, and the statement that says it."""

    says: KeyHandover
    envelope: Envelope


def verify_handover(envelope: Envelope, room: str) -> Handover:
    """Open a handover that both keys signed.

    Raises:
        SafeRoomError: `BAD_SIGNATURE` if either did not; `BAD_PROOF` for another room's.
    """
    says = load(envelope, KeyHandover)
    envelope.verify([VerifyKey.from_public(each) for each in (says.former, says.following)], 2)
    if says.room != room:
        raise SafeRoomError(Reason.BAD_PROOF, f"a handover in the room {says.room}")
    return Handover(says, envelope)


def lead_from(pinned: str, use: KeyUse, handovers: Iterable[Handover]) -> tuple[Handover, ...]:
    """Give the handovers that lead from a pinned key to the one in force, in their order.

    Raises:
        SafeRoomError: `BAD_PROOF` if a key was handed over to two others: one of them is a thief's.
    """
    by_former: dict[str, dict[str, Handover]] = {}
    for each in handovers:
        if each.says.use is use:
            by_former.setdefault(each.says.former, {}).setdefault(each.says.following, each)
    led: list[Handover] = []
    while (named := by_former.pop(pinned, None)) is not None:
        if len(named) > 1:
            detail = f"the {use} key was handed over to two others: ask the operator which is right"
            raise SafeRoomError(Reason.BAD_PROOF, detail)
        ((pinned, following),) = named.items()
        led.append(following)
    return tuple(led)


def lead_to(pinned: str, use: KeyUse, handovers: Iterable[Handover]) -> tuple[Handover, ...]:
    """Give the handovers that led to a pinned key, in their order: its holder signed the last."""
    to = {each.says.following: each for each in handovers if each.says.use is use}
    led: list[Handover] = []
    while (former := to.pop(pinned, None)) is not None:
        led.append(former)
        pinned = former.says.former
    return tuple(reversed(led))
