"""What kind of statement an entry of the log is, and whose, for people who read of a violation."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, cast

from saferoom_client.tongue import later, say
from saferoom_proto.dsse import Envelope

_KIND: Final = re.compile(r"application/vnd\.saferoom\.([a-z-]{1,60})\.v[0-9]+\+json")
_OF_SUBJECTS: Final = frozenset(
    {"consent", "consent-revocation", "dispute", "dispute-withdrawal", "holdings-request"}
)
_MAKERS: Final = ("owner", "proposer", "institution", "issuer")
"""The fields that name a statement's maker, or the owner in whose name it speaks."""

KINDS: Final = (
    *(later("acknowledgement"), later("agreement"), later("agreement-end"), later("approval")),
    *(later("batch-release"), later("certificate-revocation"), later("charter"), later("consent")),
    *(later("consent-request"), later("consent-revocation"), later("cost-estimate")),
    *(later("disclosure"), later("dispute"), later("dispute-answer"), later("dispute-withdrawal")),
    *(later("endorsement"), later("evidence-claims")),
    *(later("federation-end"), later("federation-join"), later("federation-proposal")),
    later("federation-result"),
    later("fit-release"),
    *(later("feature"), later("feature-trial"), later("job-admission"), later("job-cancel")),
    *(later("job-release"), later("key-change"), later("key-handover")),
    *(later("load-order"), later("pause"), later("recovered"), later("recovery")),
    *(later("refusal"), later("release"), later("release-certificate")),
    *(
        later("rollback-order"),
        later("root-handover"),
        later("schema"),
        later("snapshot"),
        later("table-release"),
        later("template"),
    ),
    *(later("template-refusal"), later("withdrawal")),
)
"""The kinds that stand in a log, listed for translation."""


@dataclass(frozen=True, slots=True)
class Named:
    """An entry, by name.

    Attributes:
        kind: of its statement, as its payload type names it; empty if it names none of ours.
        whose: who says that it made it, before any signature was looked at; empty if nobody.
    """

    kind: str = ""
    whose: str = ""

    def __str__(self) -> str:
        """Say it in the language that is spoken."""
        if not self.whose:
            return say(self.kind)
        return say("{kind} of {whose}", kind=say(self.kind), whose=self.whose)


NAMELESS: Final = Named()


def named(statement: Envelope) -> Named:
    """Name a statement by what stands in it: it need not be true, nor even well formed."""
    found = _KIND.fullmatch(statement.payload_type)
    if found is None:
        return Named()
    kind = found[1]
    try:
        says = cast("object", json.loads(statement.payload))
    except (ValueError, RecursionError):
        return Named(kind)
    if not isinstance(says, dict):
        return Named(kind)
    fields = cast("dict[str, object]", says)
    makers = ("subject",) if kind in _OF_SUBJECTS else _MAKERS
    whose = next((name for field in makers if isinstance(name := fields.get(field), str)), "")
    return Named(kind, whose[:_SHOWN] if whose.isprintable() else "")


_SHOWN: Final = 64
"""Characters of a name: the longest that a statement may hold."""
