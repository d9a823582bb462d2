"""The kinds of statement of the contract, and which of them a room's log holds."""

from __future__ import annotations

from typing import Final

from saferoom_proto import load_order, rollback
from saferoom_proto.certificate import ReleaseCertificate
from saferoom_proto.statements import (
    BatchRequest,
    CheckRequest,
    CostRequest,
    FitRequest,
    Head,
    HoldingsRequest,
    JobRequest,
    Launch,
    ListRequest,
    Payload,
    Switchboard,
    TableRequest,
)

BESIDE_THEIR_PACKAGE: Final = (ReleaseCertificate, load_order.LoadOrder, rollback.RollbackOrder)
"""Kinds that no import of `saferoom_proto.statements` brings."""

NEVER_RECORDED: Final = frozenset(
    {
        *(
            CheckRequest,
            BatchRequest,
            JobRequest,
            CostRequest,
            TableRequest,
            FitRequest,
            ListRequest,
            HoldingsRequest,
        ),  # named by their answers
        *(Head, Launch, Switchboard),  # said to one machine, for a moment
    }
)


def kinds(base: type[Payload] = Payload) -> set[type[Payload]]:
    """Give every kind of statement of the contract."""
    below = {kind for each in base.__subclasses__() for kind in kinds(each)}
    own = base.__module__.startswith("saferoom_proto.") and "KIND" in vars(base)
    return below | ({base} if own else set())


def recorded_kinds() -> set[type[Payload]]:
    """Give the kinds that stand in a room's log."""
    return kinds() - NEVER_RECORDED
