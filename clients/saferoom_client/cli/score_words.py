"""A template of scores in plain words: which model, which bands, and what they tell of whom."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from saferoom_client.cli.table_words import LEVELS
from saferoom_client.tongue import later, say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.bits import most_cells
from saferoom_proto.certificate import FeatureUse, OwnerPart
from saferoom_proto.formula import FeatureRef
from saferoom_proto.statements import Askers, Charter, Feature, Score
from saferoom_proto.statements.score import ScorePart

_ASKERS: Final = {
    Askers.TRAINER: later(
        "only the institution that trained the model may ask, and those that share what they learn"
        " with it"
    ),
    Askers.ALL: later("every institution that has an agreement may ask"),
}


def describe_score(score: Score) -> Iterator[str]:
    """Tell which model scores and what its bands are, before the owner's part."""
    yield say("    with the model {model}", model=score.model)
    yield say("    trained under the template {training}", training=score.training)
    if score.job is not None:
        yield from _describe_sum(score, score.job)
    else:
        yield from _describe_bands(score)
    if score.reasons:
        yield say(
            "    beside a band it names at most {reasons} features: those that raise the odds of"
            " the event the most, above the average of training; which of them the more, is not"
            " told",
            reasons=score.reasons,
        )
    yield say("    {askers}", askers=say(_ASKERS[score.askers]))


def _describe_sum(score: Score, job: str) -> Iterator[str]:
    """Tell what the sum of several owners' parts tells."""
    yield say("    in the parts that the job {job} left with each owner", job=job)
    yield say(
        "    each owner's part lies in a band of its own, with the edges {edges}, in log-odds of"
        " the event; told is the sum of their numbers, and nothing of any owner's",
        edges=", ".join(map(str, score.edges)),
    )
    for number, stands in enumerate(score.stands_for, start=1):
        yield say("    band {number} of the sum stands for {stands}", number=number, stands=stands)


def _describe_bands(score: Score) -> Iterator[str]:
    low = say("below {edge}", edge=score.edges[0])
    between = (
        say("from {low} to below {high}", low=low_edge, high=high)
        for low_edge, high in pairwise(score.edges)
    )
    high = say("from {edge} on", edge=score.edges[-1])
    for number, (where, stands) in enumerate(
        zip((low, *between, high), score.stands_for, strict=True), start=1
    ):
        yield say(
            "    band {number}: {where}, in log-odds of the event; it stands for {stands}",
            number=number,
            where=where,
            stands=stands,
        )


def describe_score_part(view: TemplateView, part: OwnerPart, score: ScorePart) -> Iterator[str]:
    """Tell what an owner's enclave answers, and how much that tells."""
    charter = view.charters[part.owner].charter
    shared = later(
        "  {owner} ({title}) gives a share of the sum, with its own part in one of {bands} bands"
    )
    alone = later("  {owner} ({title}) tells in which of {bands} bands the model puts the subject")
    yield say(
        shared if part.shared else alone,
        owner=part.owner,
        title=titled(charter.title),
        bands=score.bands,
    )
    found = say(", or not found") if score.silent else ""
    needs = (
        say(", with the subject's consent")
        if part.needs_consent
        else say(", without asking the subject")
    )
    leaves = later(
        "    what leaves: the number of a band{found}{needs}; never a weight or a value; at most"
        " {bits:.2f} bits a period"
    )
    share = later(
        "    what leaves: a share that tells nothing alone{found}{needs}; never a weight or a"
        " value; with all others' at most {bits:.2f} bits of this owner's a period"
    )
    yield say(
        share if part.shared else leaves,
        found=found,
        needs=needs,
        bits=math.log2(score.answers),
    )
    yield say(
        "    a band is a function of all these values together, not of their cells: {answers}"
        " answers are charged to each of them, beside all that is asked of it",
        answers=score.answers,
    )
    for use in part.features:
        yield from describe_use(view, use)
        if use.charged:
            yield _left(view, use, charter)


def _left(view: TemplateView, use: FeatureUse, charter: Charter) -> str:
    """Tell how many possibilities a feature's budget buys, scores and questions together."""
    feature = feature_of(view, use)
    cells = most_cells(min(feature.budget_bits, charter.limit(feature.level).feature_bits))
    if cells < use.most_cells:
        return say(
            "      its budget buys {cells} possibilities a period: this score would be refused",
            cells=cells,
        )
    return say(
        "      of it a bank can tell apart at most {cells} possibilities a period, by scores and"
        " questions together",
        cells=cells,
    )


def feature_of(view: TemplateView, use: FeatureUse) -> Feature:
    """Give the definition of a feature that a template uses."""
    owner, _, short = use.feature.partition(".")
    return view.features[FeatureRef(owner, short)].definition


def describe_use(view: TemplateView, use: FeatureUse) -> Iterator[str]:
    """Tell of a feature that a template uses what it is charged."""
    feature = feature_of(view, use)
    charged = (
        say(
            "charged to {family}, {budget_bits} bits a period",
            family=use.family,
            budget_bits=feature.budget_bits,
        )
        if use.charged
        else say("not charged")
    )
    level = say("level {level}, {meaning}", level=use.level, meaning=say(LEVELS[use.level]))
    yield say(
        "    it uses {feature}: {title} ({level}; {charged})",
        feature=use.feature,
        title=titled(feature.title),
        level=level,
        charged=charged,
    )
