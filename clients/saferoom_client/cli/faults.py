"""What is shown of an enclave that cannot answer: why, by the room's word, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from saferoom_client.tongue import say
from saferoom_client.values import EnclaveState
from saferoom_proto.reasons import Reason

_OF_STORES: Final = (Reason.STORE_DAMAGED, Reason.STORE_ROLLED_BACK)


def fault_lines(enclaves: Iterable[EnclaveState]) -> Iterator[str]:
    """Tell of each enclave what is wrong, if anything, and the next step."""
    for each in enclaves:
        if not each.fault:
            continue
        yield say("{owner} cannot answer: {fault}", owner=each.owner, fault=each.fault)
        serves = each.state == "serving"
        if serves and each.fault.startswith(_OF_STORES):
            yield say(
                "next: its owner goes back (saferoom data versions, saferoom data rollback) or"
                " loads again (saferoom data load)"
            )
        elif each.fault.startswith(_OF_STORES):
            yield say("next: its owner decides what counts: docs/enclave.md, recovery drills")
