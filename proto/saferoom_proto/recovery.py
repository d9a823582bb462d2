"""An owner's decision that its enclave goes on from an older copy: whether it was taken.

As many approvers as the charter asks must have said the same: which copy, and where the chain goes
on. It is pure; the room finds a decision by it, and key agent and enclave hold it to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import ChainLink, Recovery, load
from saferoom_proto.statements.recovery import MOST_APPROVERS
from saferoom_proto.verification import PinnedCharter, verify_by_named_approver

_KEYS_LABEL: Final = b"saferoom keys v1\n"


@dataclass(frozen=True, slots=True)
class Decision:
    """That an enclave goes on from a copy.

    Attributes:
        found: where the copy's chain ends.
        follows: where the chain goes on.
        last_epoch: the last period that is known to have begun.
        at: when the last approver said so.
        digests: of the approvers' statements, in order.
    """

    found: ChainLink
    follows: ChainLink
    last_epoch: int
    at: datetime
    digests: tuple[str, ...]


def open_decision(recoveries: Sequence[Envelope], charter: PinnedCharter) -> Decision:
    """Open a decision, all of whose statements must hold and say the same.

    Raises:
        SafeRoomError: `NOT_APPROVED` unless as many approvers said it as the charter asks;
            `BAD_SIGNATURE`, `BAD_CHARTER` or `MALFORMED` if one of them does not hold.
    """
    if len(recoveries) > MOST_APPROVERS:
        raise SafeRoomError(Reason.TOO_LARGE, f"more than {MOST_APPROVERS} recoveries")
    says = [verify_by_named_approver(each, charter, Recovery) for each in recoveries]
    if len({_content(each) for each in says}) > 1:
        raise SafeRoomError(Reason.NOT_APPROVED, "the approvers decided different things")
    keys = {charter.key_of(each.approver).keyid for each in says}
    if not says or len(keys) < charter.charter.threshold:
        detail = f"{len(keys)} of {charter.charter.threshold} approvers let it go on"
        raise SafeRoomError(Reason.NOT_APPROVED, detail)
    first = says[0]
    return Decision(
        found=first.found,
        follows=first.follows,
        last_epoch=first.last_epoch,
        at=max(each.at for each in says),
        digests=tuple(sorted(each.digest for each in recoveries)),
    )


def borne(
    recoveries: Iterable[Envelope], charter: PinnedCharter
) -> Iterator[tuple[Recovery, Envelope]]:
    """Give the statements that approvers of the charter in force bear; others are passed over.

    Raises:
        SafeRoomError: `MALFORMED` for what is no such statement.
    """
    for envelope in recoveries:
        says = load(envelope, Recovery)
        try:
            verify_by_named_approver(envelope, charter, Recovery)
        except SafeRoomError:
            continue
        yield says, envelope


def decided(
    recoveries: Iterable[Envelope], charter: PinnedCharter, found: ChainLink
) -> tuple[Envelope, ...]:
    """Find the statements by which a copy may go on; none if too few said so.

    Of two decisions about one copy the one that goes on later counts.
    """
    by_content: dict[tuple[object, ...], dict[str, Envelope]] = {}
    for says, envelope in borne(recoveries, charter):
        if says.found == found:
            keyid = charter.key_of(says.approver).keyid
            by_content.setdefault(_content(says), {})[keyid] = envelope
    enough = [
        tuple(by.values())[-MOST_APPROVERS:]
        for by in by_content.values()
        if len(by) >= charter.charter.threshold
    ]
    return max(enough, key=lambda each: load(each[0], Recovery).follows.index, default=())


def said_by(
    recoveries: Iterable[Envelope], charter: PinnedCharter, wanted: Recovery
) -> tuple[str, ...]:
    """Name the approvers who said the same as a statement."""
    named: dict[str, str] = {}
    for says, _ in borne(recoveries, charter):
        if _content(says) == _content(wanted):
            named[charter.key_of(says.approver).keyid] = says.approver
    return tuple(sorted(named.values()))


def keys_info(endorsement: str, recoveries: Iterable[str] = ()) -> bytes:
    """Give the HPKE info under which a key agent seals keys.

    They open for one endorsement only, and only to an enclave that goes by the recoveries that the
    agent went by: nobody between the two can add one or leave one out.
    """
    return _KEYS_LABEL + "\n".join((endorsement, *sorted(recoveries))).encode("ascii")


def _content(says: Recovery) -> tuple[object, ...]:
    return (says.room, says.owner, says.found, says.follows, says.last_epoch)
