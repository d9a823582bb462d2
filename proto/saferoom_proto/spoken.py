"""What an enclave says: the kinds of statement that it signs and that stand in its own chain."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saferoom_proto.dsse import Envelope
from saferoom_proto.statements import (
    Acknowledgement,
    BatchRelease,
    CostEstimate,
    Disclosure,
    FitRelease,
    JobAdmission,
    JobRelease,
    KeyChange,
    Recovered,
    Release,
    Snapshot,
    TableRelease,
    load,
)

Spoken = (
    Release
    | BatchRelease
    | JobAdmission
    | JobRelease
    | CostEstimate
    | Acknowledgement
    | Snapshot
    | Disclosure
    | KeyChange
    | Recovered
    | TableRelease
    | FitRelease
)

_KINDS: Final[tuple[type[Spoken], ...]] = (
    Release,
    BatchRelease,
    JobAdmission,
    JobRelease,
    CostEstimate,
    Acknowledgement,
    Snapshot,
    Disclosure,
    KeyChange,
    Recovered,
    TableRelease,
    FitRelease,
)

SPOKEN: Final[Mapping[str, type[Spoken]]] = MappingProxyType(
    {kind.payload_type(): kind for kind in _KINDS}
)
"""The kinds by their payload types."""


def open_spoken(statement: Envelope) -> Spoken | None:
    """Open an enclave's word, whichever it is; none of what others say.

    Its signature is the caller's to verify.

    Raises:
        SafeRoomError: `MALFORMED`.
    """
    kind = SPOKEN.get(statement.payload_type)
    return None if kind is None else load(statement, kind)
