"""What a question would cost, before it is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import typer

from saferoom_client.cli.next_steps import Asked, next_steps, saying_next
from saferoom_client.cli.options import BlindOption, JsonOption, ProfileOption, pairs, subject_code
from saferoom_client.cli.output import show
from saferoom_client.prices import Cost, TemplatePrice
from saferoom_client.room import Room
from saferoom_client.tongue import later, say
from saferoom_proto.bits import within
from saferoom_proto.reasons import CATALOGUE
from saferoom_proto.statements import CostEstimate, FeaturePrice


def cost(
    template: Annotated[str, typer.Argument(help="Its digest, or its name.")],
    profile: ProfileOption,
    *,
    subject: Annotated[
        str | None,
        typer.Option(
            parser=subject_code,
            metavar="USCC",
            help="About whom; without it, the most that anyone costs.",
        ),
    ] = None,
    purpose: Annotated[str, typer.Option(help="What the answer is for.")] = "",
    param: Annotated[list[str], typer.Option(help="NAME=VALUE of a parameter; repeat it.")] = [],  # noqa: B006 - Typer copies it
    blind: BlindOption = False,
    as_json: JsonOption = False,
) -> None:
    """See what a check would cost and whether it would be refused; nothing is charged."""
    if (subject is None) != (not purpose):
        raise typer.BadParameter(
            later("give --subject and --purpose, or neither for the highest price")
        )
    asked = Asked(profile, template)
    with Room.open(profile) as room, saying_next(asked):
        if subject is None:
            static = room.price(template)
            show(as_json, _static_document(static), *_static_lines(static))
            return
        given = pairs(param, "NAME=VALUE")
        told = room.cost(template, subject=subject, purpose=purpose, params=given, blind=blind)
    show(as_json, _document(told), *_lines(told, asked))


def _lines(told: Cost, asked: Asked) -> Iterator[str]:
    reason = told.refused
    if reason is None:
        yield say("it would cost {bits:.2f} bits beyond what was asked before", bits=told.bits)
    else:
        yield say(
            "it would be refused, {reason}: {what}",
            reason=reason,
            what=say(CATALOGUE[reason].what),
        )
    for owner, estimate in told.estimates.items():
        yield from _owner_lines(owner, estimate)
    if reason is not None:
        yield from (say("  next  {step}", step=step) for step in next_steps(reason, asked))
    yield say("nothing was charged; the request stands in the log")
    yield say("  id    {request_id}", request_id=told.request_id)


def _owner_lines(owner: str, estimate: CostEstimate) -> Iterator[str]:
    if estimate.refused is not None and not estimate.features:
        yield say("  {owner}: refused, {refused}", owner=owner, refused=estimate.refused)
    elif not estimate.features:
        yield say("  {owner}: nothing is charged", owner=owner)
    for each in estimate.features:
        before, after = math.log2(each.cells_before), math.log2(each.cells_after)
        yield (
            say(
                "  {feature}: {cells}; {before:.2f} bits spent, {after:.2f} with it,"
                " of {budget_bits} a period{over}",
                feature=each.feature,
                cells=_cells(each),
                before=before,
                after=after,
                budget_bits=each.budget_bits,
                over=_over(each),
            )
        )
    for each in estimate.families:
        left = max(each.cap_bits - each.bits_after, 0)
        over = say(", which is over it") if not each.within else say(", {left} left", left=left)
        yield (
            say(
                "  family {family} of {owner}: {bits_before} bits spent in 36 months,"
                " {bits_after} with it, of {cap_bits}{over}",
                family=each.family,
                owner=owner,
                bits_before=each.bits_before,
                bits_after=each.bits_after,
                cap_bits=each.cap_bits,
                over=over,
            )
        )


def _over(price: FeaturePrice) -> str:
    if price.within:
        return ""
    if within(price.cells_after, price.budget_bits):
        # Stated values have a count beside the budget; and a period can be closed.
        return say(", but nothing new may be asked of it now")
    return say(", which is over it")


def _cells(price: FeaturePrice) -> str:
    if price.cells_after == price.cells_before:
        return say("nothing new") if price.within else say("not to be added to what was asked")
    return say(
        "from {cells_before} to {cells_after} cells told apart",
        cells_before=price.cells_before,
        cells_after=price.cells_after,
    )


def _static_lines(static: TemplatePrice) -> Iterator[str]:
    yield say(
        "one question costs at most {most_bits:.2f} bits, whoever it is about",
        most_bits=static.most_bits,
    )
    for use in static.charged:
        yield (
            say(
                "  {feature}: at most {most_cells} cells, {log2:.2f} bits",
                feature=use.feature,
                most_cells=use.most_cells,
                log2=math.log2(use.most_cells),
            )
        )
    for part in static.certificate.parts:
        needs = say("with the subject's consent") if part.needs_consent else say("without consent")
        yield say("  {owner} answers {needs}", owner=part.owner, needs=needs)
    yield say("  less where it was asked before: add --subject and --purpose to see")


def _document(told: Cost) -> dict[str, object]:
    return {
        "refused": told.refused,
        "bits": round(told.bits, 3),
        "request_id": told.request_id,
        "owners": {
            owner: {
                "refused": each.refused,
                "features": [price.model_dump(mode="json") for price in each.features],
                "families": [price.model_dump(mode="json") for price in each.families],
            }
            for owner, each in told.estimates.items()
        },
    }


def _static_document(static: TemplatePrice) -> dict[str, object]:
    return {
        "template": static.template,
        "most_bits": round(static.most_bits, 3),
        "needs_consent": static.needs_consent,
        "features": [use.model_dump(mode="json") for use in static.charged],
    }
