"""Drafting a template of scores from a job that ended with a model."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from saferoom_client.tongue import later
from saferoom_client.training.report import TrainingReport
from saferoom_client.values import TemplateView
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

DEFAULT_EDGES: Final = tuple(map(Decimal, ("-0.75", "-0.25", "0.25", "0.75")))
"""In log-odds. An owner's standardised columns average to nothing over the rows of training, so its
part of the log-odds lies around 0; how far it spreads, nobody outside the enclave sees."""

IN_PARTS: Final = later("its model lies in parts with several owners: no score adds them up yet")


def draft_score(
    view: TemplateView,
    report: TrainingReport,
    *,
    name: str,
    purpose: str,
    edges: Sequence[Decimal],
) -> dict[str, object]:
    """Write a draft that `template propose` takes.

    Args:
        view: the template that the model was trained under.
        report: the job's.
        name: of the new template.
        purpose: that scores are asked for.
        edges: of the bands, ascending.

    Raises:
        SafeRoomError: `NOT_ALLOWED` if the template trains nothing, or several owners' columns.
    """
    training = view.template.training
    if training is None:
        rule = "the job's template trains nothing"
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("job", rule)])
    if training.host is not None:
        raise SafeRoomError(Reason.NOT_ALLOWED, IN_PARTS, [FieldFault("job", IN_PARTS)])
    title = view.template.title
    return {
        "kind": "Score",
        "name": name,
        "title": {"en": f"Score: {title.en}", "zh": f"{title.zh}评分"},
        "purposes": [str(purpose)],
        "score": {
            "model": report.model,
            "training": view.envelope.digest,
            "features": list(training.features),
            "edges": [str(edge) for edge in edges],
            "stands_for": [str(each) for each in middles(edges)],
        },
    }


def middles(edges: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Give the middle of each band; an open one is taken as wide as the one beside it."""
    if not edges:
        return (Decimal(0),)
    first = edges[1] - edges[0] if len(edges) > 1 else Decimal(1)
    last = edges[-1] - edges[-2] if len(edges) > 1 else Decimal(1)
    between = [(low + high) / 2 for low, high in pairwise(edges)]
    return (edges[0] - first / 2, *between, edges[-1] + last / 2)
