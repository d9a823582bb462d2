"""What a question would cost, before it is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import typer

from saferoom_client.cli.next_steps import Asked, add_next_steps, next_steps
from saferoom_client.cli.options import JsonOption, ProfileOption, pairs, subject_code
from saferoom_client.cli.output import show
from saferoom_client.prices import Cost, TemplatePrice
from saferoom_client.refused import Refused
from saferoom_client.room import Room
from saferoom_proto.reasons import CATALOGUE
from saferoom_proto.statements import CostEstimate, FeaturePrice


def cost(
    template: Annotated[str, typer.Argument(help="Its digest, or its name. 模板摘要或名称。")],
    profile: ProfileOption,
    *,
    subject: Annotated[
        str | None,
        typer.Option(
            parser=subject_code,
            metavar="USCC",
            help="About whom; without it, the most that anyone costs. 统一社会信用代码。",
        ),
    ] = None,
    purpose: Annotated[str, typer.Option(help="What the answer is for. 用途。")] = "",
    param: Annotated[
        list[str], typer.Option(help="NAME=VALUE of a parameter; repeat it. 参数。")
    ] = [],  # noqa: B006 - Typer copies it
    as_json: JsonOption = False,
) -> None:
    """See what a check would cost and whether it would be refused; nothing is charged.

    查询提问的代价 不计费。
    """
    if (subject is None) != (not purpose):
        raise typer.BadParameter("give --subject and --purpose, or neither for the highest price")
    with Room.open(profile) as room:
        if subject is None:
            static = room.price(template)
            show(as_json, _static_document(static), *_static_lines(static))
            return
        given = pairs(param, "NAME=VALUE")
        asked = Asked(profile, template)
        try:
            told = room.cost(template, subject=subject, purpose=purpose, params=given)
        except Refused as refused:
            add_next_steps(refused, asked)
            raise
    show(as_json, _document(told), *_lines(told, asked))


def _lines(told: Cost, asked: Asked) -> Iterator[str]:
    reason = told.refused
    if reason is None:
        yield f"it would cost {told.bits:.2f} bits beyond what was asked before"
    else:
        yield f"it would be refused, {reason}: {CATALOGUE[reason].what}"
    for owner, estimate in told.estimates.items():
        yield from _owner_lines(owner, estimate)
    if reason is not None:
        yield from (f"  next  {step}" for step in next_steps(reason, asked))
    yield "nothing was charged; the request stands in the log"
    yield f"  id    {told.request_id}"


def _owner_lines(owner: str, estimate: CostEstimate) -> Iterator[str]:
    if estimate.refused is not None and not estimate.features:
        yield f"  {owner}: refused, {estimate.refused}"
    elif not estimate.features:
        yield f"  {owner}: nothing is charged"
    for each in estimate.features:
        before, after = math.log2(each.cells_before), math.log2(each.cells_after)
        over = "" if each.within else ", which is over it"
        yield (
            f"  {each.feature}: {_cells(each)}; {before:.2f} bits spent, {after:.2f} with it, "
            f"of {each.budget_bits} a period{over}"
        )
    for each in estimate.families:
        left = max(each.cap_bits - each.bits_after, 0)
        over = ", which is over it" if not each.within else f", {left} left"
        yield (
            f"  family {each.family} of {owner}: {each.bits_before} bits spent in 36 months, "
            f"{each.bits_after} with it, of {each.cap_bits}{over}"
        )


def _cells(price: FeaturePrice) -> str:
    if price.cells_after == price.cells_before:
        return "nothing new" if price.within else "not to be added to what was asked"
    return f"from {price.cells_before} to {price.cells_after} cells told apart"


def _static_lines(static: TemplatePrice) -> Iterator[str]:
    yield f"one question costs at most {static.most_bits:.2f} bits, whoever it is about"
    for use in static.charged:
        yield (
            f"  {use.feature}: at most {use.most_cells} cells, {math.log2(use.most_cells):.2f} bits"
        )
    for part in static.certificate.parts:
        needs = "with the subject's consent" if part.needs_consent else "without consent"
        yield f"  {part.owner} answers {needs}"
    yield "  less where it was asked before: add --subject and --purpose to see"


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
