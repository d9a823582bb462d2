"""A template of tables in plain words: its columns, what is told of each cell, the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from saferoom_client.cli.feature import cell_names
from saferoom_client.cli.noise_words import noise_lines
from saferoom_client.stats import plan_by, require_tables
from saferoom_client.table_words import odds_words
from saferoom_client.tongue import later, say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.formula import FeatureRef
from saferoom_proto.statements import Aggregate, MeasureKind, Privacy, TableMeasure
from saferoom_proto.tables.asked import UNKNOWN
from saferoom_proto.tables.part import TablePart

LEVELS = {
    1: later("public by law"),
    2: later("not secret"),
    3: later("commercial secret"),
    4: later("identifiers and record-level detail"),
}
"""JR/T 0197, as the design's section 7 reads it."""


def describe_plan(plan: Aggregate) -> Iterator[str]:
    """Tell what the tables are, before the owner's part."""
    if plan.owners:
        yield say(
            "    added up over {owners}: only the sum of all their cells is told, no owner's own",
            owners=", ".join(plan.owners),
        )
    yield say("    by {columns}", columns=", ".join(plan.dimensions))
    for measure in plan.measures:
        yield say("    of each cell: {told}", told=measure_words(measure))
    if plan.ways is not None:
        yield say(
            "    for the total, and every combination of up to {ways} columns", ways=plan.ways
        )
        return
    for margin in plan.margins:
        yield say("    for {margin}", margin=", ".join(margin) or say("the total"))


def describe_tables(view: TemplateView, part: OwnerPart, table: TablePart) -> Iterator[str]:
    """Tell what an owner's enclave lets out of tables, and what holds it back."""
    rules, title = table.rules, view.charters[part.owner].charter.title
    yield say(
        "  {owner} ({title}) tells at most {cells:,} numbers, in {tables:,} tables",
        owner=part.owner,
        title=titled(title),
        cells=table.cells,
        tables=table.tables,
    )
    yield from _held_back(table) if table.privacy is None else _noise(view, table.privacy)
    if part.shared:
        yield from _summed(view, part.owner)
    yield say("    tables of other records: not within {days} days of these", days=rules.days)
    yield from describe_features(view, part)
    for column in table.columns:
        definition = view.features[FeatureRef.parse(column.feature)].definition
        named = cell_names(definition)
        unknown = [say("unknown")] if column.classes[-1] == UNKNOWN else []
        classes = "; ".join((*named, *unknown))
        yield say("      {feature} has classes: {classes}", feature=column.feature, classes=classes)


def _noise(view: TemplateView, privacy: Privacy) -> Iterator[str]:
    """Tell what noise does in the place of rules."""
    yield say(
        "    what leaves: of everybody together, without asking the subjects; every cell, each"
        " number with noise (differential privacy, epsilon {epsilon})",
        epsilon=privacy.epsilon,
    )
    owners = len(require_tables(view).asked_of)
    yield from noise_lines(plan_by(view), privacy.epsilon, "    ", owners)
    yield say(
        "    of the same records a group of institutions is told {cap} at most by all such plans:"
        " a factor of {odds}; groups that share what they are told add up",
        cap=privacy.cap,
        odds=odds_words(privacy.cap),
    )
    yield say("    of the same records no table leaves without noise, before these or after")


def _summed(view: TemplateView, owner: str) -> Iterator[str]:
    """Tell what a sum hides of an owner, and from whom."""
    others = ", ".join(each for each in require_tables(view).owners if each != owner)
    yield say(
        "    its cells leave as shares: neither bank, room nor any other owner learns them, unless"
        " all of {others} join forces with the bank, have nobody in a cell, or tell theirs by"
        " another way",
        others=others,
    )
    yield say(
        "    of the same records {owner} tells no table alone, and adds to no sum of other owners;"
        " each sum that a group of institutions is told is the same as one before, or differs by"
        " three owners' records or more",
        owner=owner,
    )


def _held_back(table: TablePart) -> Iterator[str]:
    """Tell which rules hold numbers back."""
    rules = table.rules
    yield say(
        "    what leaves: of everybody together, without asking the subjects; no number about"
        " fewer than {threshold}, nor one from which such a number can be reckoned",
        threshold=rules.threshold,
    )
    if table.groups is not None:
        yield say(
            "    those of one legal group count as one; {feature} names it, and is not told",
            feature=table.groups,
        )
    yield say(
        "    counts are rounded to {base}, all else to {digits} digits",
        base=rules.base,
        digits=rules.digits,
    )
    if any(each.low is not None for each in table.measures):
        yield say(
            "    no sum is told in which the {largest} largest make up more than {share} %,"
            " or the largest can be reckoned to within {percent} %",
            largest=rules.largest,
            share=rules.share,
            percent=rules.percent,
        )
    yield say(
        "    with all other tables of the same records: two sets that can be told apart differ by"
        " no subject, or by {threshold} or more",
        threshold=rules.threshold,
    )


def describe_features(view: TemplateView, part: OwnerPart) -> Iterator[str]:
    """Tell which features an owner's enclave reads, and how secret each is."""
    for use in part.features:
        definition = view.features[FeatureRef.parse(use.feature)].definition
        level = say("level {level}, {meaning}", level=use.level, meaning=say(LEVELS[use.level]))
        yield say(
            "    it reads {feature}: {title} ({level})",
            feature=use.feature,
            title=titled(definition.title),
            level=level,
        )


def measure_words(measure: TableMeasure) -> str:
    """Say what is told of a cell."""
    match measure.kind:
        case MeasureKind.COUNT:
            return say("how many subjects")
        case MeasureKind.SUM:
            return say(
                "the sum of {feature}, each between {low} and {high}",
                feature=measure.of,
                low=measure.low,
                high=measure.high,
            )
        case MeasureKind.MEAN:
            return say(
                "the mean of {feature} over all its subjects, each between {low} and {high}",
                feature=measure.of,
                low=measure.low,
                high=measure.high,
            )
        case MeasureKind.SHARE:
            return say(
                "the share whose {feature} is {classes}",
                feature=measure.of,
                classes=" / ".join(measure.classes),
            )
        case MeasureKind.HISTOGRAM:
            return say("how many in each class of {feature}", feature=measure.of)
        case _:
            assert_never(measure.kind)
