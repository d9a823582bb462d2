"""Kinds of templates: whoever asks one of another kind is told the command that asks it."""

from __future__ import annotations

from typing import Final

from saferoom_client.values import TemplateView
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

_COMMANDS: Final = {
    "Check": "check",
    "Score": "score ask",
    "Training": "job submit",
    "Aggregate": "stats ask",
    "Report": "report ask",
    "Fit": "job submit",
    "List": "listing ask",
}


def another_kind(view: TemplateView) -> SafeRoomError:
    """Give the refusal, `NOT_ALLOWED`, of what is asked by another command."""
    template = view.template
    rule = f"{template.name} is asked otherwise; its kind is {template.kind}"
    refusal = SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("template", rule)])
    refusal.add_note(f"saferoom {_COMMANDS[template.kind]} {template.name}")
    return refusal
