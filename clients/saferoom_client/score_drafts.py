"""Drafting a template of scores from a job that ended with a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, cast

from saferoom_client.scores import Scale
from saferoom_client.tongue import later, say
from saferoom_client.trained import TrainedModel
from saferoom_client.training.report import TrainingReport
from saferoom_client.values import TemplateView
from saferoom_proto.answer import MOST_BANDS
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Fit

DEFAULT_EDGES: Final = tuple(map(Decimal, ("-0.75", "-0.25", "0.25", "0.75")))
"""In log-odds. An owner's standardised columns average to nothing over the rows of training, so its
part of the log-odds lies around 0; how far it spreads, nobody outside the enclave sees."""
_PLACES: Final = 3
_OF_SEVERAL: Final = tuple(map(Decimal, ("-0.5", "0.5")))


def draft_score(
    view: TemplateView,
    report: TrainingReport | TrainedModel,
    *,
    name: str,
    purpose: str,
    edges: Sequence[Decimal],
    reasons: int = 0,
) -> dict[str, object]:
    """Write a draft that `template propose` takes.

    Args:
        view: the template that the model was trained under.
        report: the job's.
        name: of the new template.
        purpose: that scores are asked for.
        edges: of the bands, ascending; of several owners those of each part; empty for usual ones.
        reasons: the most features that are to be named beside a band.

    Raises:
        SafeRoomError: `NOT_ALLOWED` if the template trains nothing, or trees are to give reasons.
    """
    training = view.template.training or view.template.fit
    if training is None:
        rule = "the job's template trains nothing"
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("job", rule)])
    if reasons and isinstance(training, Fit) and training.trees is not None:
        rule = "reasons are of weights: trees have none"
        raise SafeRoomError(Reason.NOT_ALLOWED, rule, [FieldFault("reasons", rule)])
    owners = len(training.owners)
    told = tuple(edges) or default_edges(owners)
    told = _equally_wide(told) if owners > 1 else told
    if owners > 1 and owners * len(told) >= MOST_BANDS:
        most = (MOST_BANDS - 1) // owners
        rule = say(
            "the sum of {owners} owners' bands has at most {most} edges", owners=owners, most=most
        )
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("edge", rule)])
    several = {"job": report.job} if owners > 1 else {}
    title = view.template.title
    return {
        "kind": "Score",
        "name": name,
        "title": {"en": f"Score: {title.en}", "zh": f"{title.zh}评分"},
        "purposes": [str(purpose)],
        "score": {
            "model": report.model,
            **several,
            "training": view.envelope.digest,
            "features": list(training.features),
            "edges": [str(edge) for edge in told],
            "stands_for": [str(each) for each in middles(told, owners)],
            **({"reasons": reasons} if reasons else {}),
        },
    }


def _equally_wide(edges: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    """Give edges that lie equally far apart, where but rounding (`_PLACES`) has them differ."""
    if len(edges) <= 2:  # noqa: PLR2004 - one band between them
        return edges
    unit = Decimal(1).scaleb(-_PLACES)
    width = ((edges[-1] - edges[0]) / (len(edges) - 1)).quantize(unit)
    even = tuple(edges[0] + width * at for at in range(len(edges)))
    rounded = all(abs(one - other) <= unit for one, other in zip(edges, even, strict=True))
    return even if rounded else edges  # others are refused as they are proposed


def edges_of(points: Sequence[float], scale: Scale) -> tuple[Decimal, ...]:
    """Give the edges in log-odds, to a thousandth, that are some points of an owner's part.

    Raises:
        SafeRoomError: `MALFORMED` for what is no finite number.
    """
    if not all(map(math.isfinite, points)):
        rule = later("a finite number of points")
        raise SafeRoomError(Reason.MALFORMED, rule, [FieldFault("--edge-points", rule)])
    # More points are less risk, so the order turns.
    return tuple(
        Decimal(f"{scale.part(each):.{_PLACES}f}") for each in sorted(points, reverse=True)
    )


def describe_points(document: Mapping[str, object], scale: Scale) -> Iterator[str]:
    """Say a draft's edges and bands in points, as comments of its YAML: both are one number."""
    score = cast("Mapping[str, Sequence[str]]", document["score"])
    told = {
        later("# edges in points of the owner's part: {points}"): score["edges"],
        later("# its bands stand for points: {points}"): score["stands_for"],
    }
    yield say("# {double:g} points more are odds twice as good", double=scale.double)
    for message, numbers in told.items():
        points = ", ".join(f"{scale.of_part(float(each)) + 0.0:+.1f}" for each in numbers)
        yield say(message, points=points)


def default_edges(owners: int) -> tuple[Decimal, ...]:
    """Give edges for so many owners: of several, as many as the sum has bands for."""
    if owners == 1:
        return DEFAULT_EDGES
    return _OF_SEVERAL if owners * len(_OF_SEVERAL) < MOST_BANDS else (Decimal(0),)


def middles(edges: Sequence[Decimal], owners: int = 1) -> tuple[Decimal, ...]:
    """Give the middle of each band; an open one is taken as wide as the one beside it.

    Of several owners, of each band of the sum.
    """
    if not edges:
        return (Decimal(0),)
    if owners > 1:
        width = edges[1] - edges[0] if len(edges) > 1 else Decimal(1)
        lowest = owners * (edges[0] - width / 2)
        return tuple(lowest + width * at for at in range(owners * len(edges) + 1))
    first = edges[1] - edges[0] if len(edges) > 1 else Decimal(1)
    last = edges[-1] - edges[-2] if len(edges) > 1 else Decimal(1)
    between = [(low + high) / 2 for low, high in pairwise(edges)]
    return (edges[0] - first / 2, *between, edges[-1] + last / 2)
