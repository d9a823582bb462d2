"""What to type after a question was refused."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from saferoom_client.advice import Again, advice
from saferoom_client.refused import Refused
from saferoom_proto.reasons import Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was typed.

    Attributes:
        profile: the member folder.
        template: its digest or name.
        subject: the code; empty where a kept question was asked.
        purpose: what for.
        params: the parameters.
        kept: the file that holds the signed question, if any.
        steps: what is advised where it is another thing than of a check.
        blind: whether a value is matched without being told.
    """

    profile: Path
    template: str = ""
    subject: str = ""
    purpose: str = ""
    params: Mapping[str, str] | None = None
    kept: Path | None = None
    steps: Mapping[Reason, str] = field(default_factory=dict[Reason, str])
    blind: bool = False


@contextmanager
def saying_next(asked: Asked) -> Generator[None]:
    """Note on the room's refusal what to do about it, and which commands help."""
    try:
        yield
    except Refused as refused:
        for step in next_steps(refused.reason, asked):
            refused.add_note(step)
        raise


def next_steps(reason: Reason, asked: Asked) -> Iterator[str]:
    """Tell what to do about a reason, and which commands help."""
    yield asked.steps.get(reason, advice(reason).step)
    for command in _commands(reason, asked):
        yield f"saferoom {command} -p {shlex.quote(str(asked.profile))}"


def _commands(reason: Reason, asked: Asked) -> Iterator[str]:
    if advice(reason).again is Again.SAME and asked.kept is not None:
        yield f"check --again {shlex.quote(str(asked.kept))}"
    template = shlex.quote(asked.template)
    match reason:
        case Reason.UNAVAILABLE | Reason.LOCKED | Reason.NO_DATA:
            yield "room status"
        case Reason.OFF_GRID | Reason.OFF_DOMAIN | Reason.WRONG_PURPOSE if asked.template:
            yield f"template show {template}"
        case Reason.NOT_APPROVED | Reason.CERTIFICATE_MISMATCH if asked.template:
            yield f"template show {template}"
        case Reason.UNKNOWN_STATEMENT:
            yield "template list"
        case Reason.NO_AGREEMENT:
            yield "agreement list"
        case Reason.NO_CONSENT | Reason.CONSENT_USED_UP:
            yield "consent list"
        case Reason.OVER_BUDGET if asked.template and asked.subject:
            params = (f"{name}={value}" for name, value in (asked.params or {}).items())
            given = "".join(f" --param {shlex.quote(each)}" for each in params)
            given += " --blind" * asked.blind
            yield f"cost {template} --subject {asked.subject} --purpose {asked.purpose}{given}"
        case _:
            return
