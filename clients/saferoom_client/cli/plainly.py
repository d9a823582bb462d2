"""A template in plain words: who asks, about what, what leaves, and how much at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.cli.feature import points
from saferoom_client.cli.fit_words import describe_fit, describe_fit_part
from saferoom_client.cli.limits_words import learnable
from saferoom_client.cli.list_words import describe_list_part
from saferoom_client.cli.report_words import describe_report_part
from saferoom_client.cli.score_words import (
    describe_score,
    describe_score_part,
    describe_use,
    feature_of,
)
from saferoom_client.cli.table_words import describe_plan, describe_tables
from saferoom_client.cli.training_words import describe_training, describe_training_part
from saferoom_client.costs import static_price
from saferoom_client.prices import TemplatePrice
from saferoom_client.templates import ListedTemplate, approved_by, forged_approvals
from saferoom_client.tongue import later, say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import OwnerPart, rests_on
from saferoom_proto.formula import FeatureRef
from saferoom_proto.statements import Feature, FeatureKind, Returns, Template


def describe(view: TemplateView) -> Iterator[str]:
    """Tell a person what the template asks, part by part."""
    template = view.template
    yield f"{template.name}: {titled(template.title)}"
    yield from _asked(template)
    for name, parameter in template.params.items():
        feature = _feature(view, parameter.feature)
        if feature.kind is FeatureKind.STATED:
            yield say("  It states {name}, a value of its own", name=name)
        else:
            yield say("  It may choose {name}: {points}", name=name, points=points(feature))
    for part in view.certificate.parts:
        yield from _told_by(view, part)
        yield _approved_so_far(view, part)
    if view.changed:
        yield _changed(view.template)
    for part in view.certificate.parts:
        yield from _forged(view, part.owner)
    for refusal in view.refusals:
        yield say(
            "  refused by {approver} of {owner}: {why}",
            approver=refusal.approver,
            owner=refusal.owner,
            why=refusal.why,
        )
    yield say("  template     {digest}", digest=view.envelope.digest)
    yield say("  certificate  {digest}", digest=view.certificate.digest)


def _changed(template: Template) -> str:
    if rests_on(template):
        return say(
            "  A feature, or the charter of an owner, has changed since it was proposed: earlier"
            " approvals do not count."
        )
    return say("  A feature has changed since it was proposed: earlier approvals do not count.")


def _told_by(view: TemplateView, part: OwnerPart) -> Iterator[str]:
    """Tell what one owner's enclave does, by the part's kind."""
    if part.training is not None:
        yield from describe_training_part(view, part, part.training)
    elif part.fit is not None:
        yield from describe_fit_part(view, part, part.fit)
    elif part.report is not None:
        yield from describe_report_part(view, part, part.report)
    elif part.listing is not None:
        yield from describe_list_part(view, part, part.listing)
    elif part.table is not None:
        yield from describe_tables(view, part, part.table)
    elif part.score is not None:
        yield from describe_score_part(view, part, part.score)
    else:
        yield from _part(view, part)


def _asked(template: Template) -> Iterator[str]:
    purposes = ", ".join(template.purposes)
    if template.training is not None:
        yield say(
            "  {proposer} asks, for {purposes}, to train a model together:",
            proposer=template.proposer,
            purposes=purposes,
        )
        yield from describe_training(template.training)
    elif template.fit is not None:
        yield say(
            "  {proposer} asks, for {purposes}, to train a model in the room:",
            proposer=template.proposer,
            purposes=purposes,
        )
        yield from describe_fit(template.fit)
    elif template.report is not None:
        yield say(
            "  {proposer} asks, for {purposes}, for a report of what is public of one subject:",
            proposer=template.proposer,
            purposes=purposes,
        )
    elif template.listing is not None:
        yield say(
            "  {proposer} asks, for {purposes}, for lists of what is public:",
            proposer=template.proposer,
            purposes=purposes,
        )
    elif template.score is not None:
        yield say(
            "  {proposer} asks, for {purposes}, to score one subject at a time:",
            proposer=template.proposer,
            purposes=purposes,
        )
        yield from describe_score(template.score)
    elif template.aggregate is None:
        yield say(
            "  {proposer} asks, for {purposes}, about one subject at a time:",
            proposer=template.proposer,
            purposes=purposes,
        )
        yield f"    {' '.join(template.check.split())}"
    else:
        yield say(
            "  {proposer} asks, for {purposes}, for tables about all subjects:",
            proposer=template.proposer,
            purposes=purposes,
        )
        yield from describe_plan(template.aggregate)


def _forged(view: TemplateView, owner: str) -> Iterator[str]:
    for name in forged_approvals(view, owner):
        yield say(
            "  The room shows an approval by {name} of {owner} that {name} did not sign:"
            " it counts for nothing; tell the auditor.",
            name=name,
            owner=owner,
        )


def view_document(view: TemplateView) -> dict[str, object]:
    """Write what `describe` says for a program."""
    return {
        "template": view.envelope.digest,
        "certificate": view.certificate.digest,
        "changed": view.changed,
        "statement": view.template.model_dump(mode="json"),
        "refusals": [
            {"owner": one.owner, "approver": one.approver, "why": one.why, "at": one.at}
            for one in view.refusals
        ],
        "parts": [
            {
                **part.model_dump(mode="json"),
                "most_bits": round(part.most_bits, 3),
                "approved_by": approved_by(view, part.owner),
                "forged": forged_approvals(view, part.owner),
                "threshold": view.charters[part.owner].charter.threshold,
            }
            for part in view.certificate.parts
        ],
    }


LISTED_HEADINGS: Final = (
    later("NAME"),
    later("PROPOSED BY"),
    later("APPROVED"),
    later("COSTS AT MOST"),
    later("CONSENT"),
    later("DIGEST"),
)


def listed_row(listed: ListedTemplate) -> tuple[str, ...]:
    """Lay out a template of the list."""
    template, view = listed.template, listed.view
    if view is None:
        return (template.name, template.proposer, "?", "?", "?", listed.digest)
    price = static_price(view)
    return (
        template.name,
        template.proposer,
        ", ".join(_state(view, *each) for each in _approved(view)),
        _costs(template, price),
        say("needed") if price.needs_consent else say("none"),
        listed.digest,
    )


def _costs(template: Template, price: TemplatePrice) -> str:
    if template.training is not None or template.fit is not None:
        return say("a model")
    if template.report is not None or template.listing is not None:
        return say("nothing")  # public by law: neither charged nor asked of the subject
    if template.aggregate is not None:
        return say("tables")  # of nobody: no subject's budget is charged
    return say("{most_bits:.2f} bits", most_bits=price.most_bits)


def listed_document(listed: ListedTemplate) -> dict[str, object]:
    """Write a template of the list for a program."""
    document = {"template": listed.digest, **listed.template.model_dump(mode="json")}
    if listed.view is None:
        return {**document, "problem": listed.problem}
    price = static_price(listed.view)
    return {
        **document,
        "most_bits": round(price.most_bits, 3),
        "needs_consent": price.needs_consent,
        "changed": listed.view.changed,
        "refused_by": sorted({one.owner for one in listed.view.refusals}),
        "forged": {
            part.owner: names
            for part in listed.view.certificate.parts
            if (names := forged_approvals(listed.view, part.owner))
        },
        "approved": {
            owner: {"approvals": count, "needed": needed}
            for owner, count, needed in _approved(listed.view)
        },
    }


def _state(view: TemplateView, owner: str, count: int, needed: int) -> str:
    refused = any(one.owner == owner for one in view.refusals)
    forged = say(" forged") if forged_approvals(view, owner) else ""
    return f"{owner} {count}/{needed}{say(' refused') if refused else ''}{forged}"


def _approved(view: TemplateView) -> Iterator[tuple[str, int, int]]:
    for part in view.certificate.parts:
        needed = view.charters[part.owner].charter.threshold
        yield part.owner, len(approved_by(view, part.owner)), needed


def _part(view: TemplateView, part: OwnerPart) -> Iterator[str]:
    charter = view.charters[part.owner].charter
    yield say(
        "  {owner} ({title}) answers {formula}",
        owner=part.owner,
        title=titled(charter.title),
        formula=part.formula,
    )
    answers = say("yes or no") if part.answers == _YES_NO else say("yes, no, or not found")
    if part.charter is not None:
        answers = say("only whether all owners' parts hold, yes or no")
    if view.template.returns is Returns.BLIND:
        answers = say("whether a value is the one held, without being told it")
    needs = (
        say(", with the subject's consent")
        if part.needs_consent
        else say(", without asking the subject")
    )
    yield say(
        "    what leaves: {answers}{needs}; at most {most_bits:.2f} bits",
        answers=answers,
        needs=needs,
        most_bits=part.most_bits,
    )
    for use in part.features:
        yield from describe_use(view, use)
        if use.charged:
            yield say(
                "      of it a bank can learn, by all its questions of a period: {words}",
                words=learnable(feature_of(view, use), charter),
            )


def _approved_so_far(view: TemplateView, part: OwnerPart) -> str:
    names = approved_by(view, part.owner)
    by = say(" by {names}", names=", ".join(names)) if names else ""
    return say(
        "    approved{by}: {count} of the {threshold} needed",
        by=by,
        count=len(names),
        threshold=view.charters[part.owner].charter.threshold,
    )


_YES_NO = 2


def _feature(view: TemplateView, name: str) -> Feature:
    owner, _, short = name.partition(".")
    return view.features[FeatureRef(owner, short)].definition
