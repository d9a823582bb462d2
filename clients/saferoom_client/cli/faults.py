"""What is shown of an enclave that cannot answer: why, by the room's word, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from saferoom_client.cli.rules_said import say_rule
from saferoom_client.tongue import later, say
from saferoom_client.values import EnclaveState
from saferoom_proto.reasons import Reason

STATES: Final = (
    *(later("starting"), later("away"), later("locked"), later("serving"), later("down")),
)
"""How an enclave does, as the room says it (`saferoom/place.py`)."""
RUN_BY: Final = (later("server"), later("owner"))
_AGENT_REFUSED: Final = "BAD_EVIDENCE: the key agent refuses: "
_UNACCEPTED: Final = re.compile(
    r"(?P<what>code|dependencies) (?P<digest>sha256:[0-9a-f]{64}) (?:is|are) not accepted"
)
_OF_STORES: Final = (Reason.STORE_DAMAGED, Reason.STORE_ROLLED_BACK)


def fault_lines(enclaves: Iterable[EnclaveState]) -> Iterator[str]:
    """Tell of each enclave what is wrong, if anything, and the next step."""
    for each in enclaves:
        if each.state == "locked":
            yield from _locked(each)
            continue
        if each.state == "away":
            yield say("{owner} cannot answer: its enclave is not connected", owner=each.owner)
            yield say("next: its owner runs its relay: saferoom relay run EXCHANGE")
            continue
        if not each.fault:
            continue
        yield say("{owner} cannot answer: {fault}", owner=each.owner, fault=say_rule(each.fault))
        serves = each.state == "serving"
        if serves and each.fault.startswith(_OF_STORES):
            yield say(
                "next: its owner goes back (saferoom data versions, saferoom data rollback) or"
                " loads again (saferoom data load)"
            )
        elif each.fault.startswith(_OF_STORES):
            yield say("next: its owner decides what counts: docs/enclave.md, recovery drills")


def _locked(enclave: EnclaveState) -> Iterator[str]:
    """Tell why an enclave has no key: its key agent refuses, or nobody gave it one."""
    owner, fault = enclave.owner, enclave.fault
    if not fault.startswith(_AGENT_REFUSED):
        yield say("{owner} cannot answer: it waits for its key", owner=owner)
        yield say("next: its owner runs its key agent: saferoom agent run AGENT")
        return
    yield say("{owner} cannot answer: {fault}", owner=owner, fault=say_rule(fault))
    if unaccepted := _UNACCEPTED.search(fault):
        yield say(
            "next: if `saferoom measure` of code that its owner trusts gives this digest,"
            " saferoom agent accept AGENT --{what} {digest}",
            what=unaccepted["what"],
            digest=unaccepted["digest"],
        )
    else:
        yield say("next: its owner reads what its key agent says: saferoom agent run AGENT")
