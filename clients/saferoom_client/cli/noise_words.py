"""Tables with noise on the command line: how wide it is, what it cost, and what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from saferoom_client.cli.next_steps import Asked, next_steps
from saferoom_client.stats import TableAnswer, plan_by, require_tables
from saferoom_client.table_words import errors_of, odds_words
from saferoom_client.tongue import later, say
from saferoom_proto.reasons import CATALOGUE, Reason
from saferoom_proto.statements import PrivacySpent
from saferoom_proto.tables.plan import ReleasePlan


def noise_lines(
    plan: ReleasePlan, epsilon: Decimal, indent: str = "", owners: int = 1
) -> Iterator[str]:
    """Tell what a plan's epsilon means, and how wide its noise is; of a sum, the owners' all."""
    rule = later(
        "whatever one subject's records say changes the odds of any answer by a factor of"
        " e^{epsilon} = {odds} at most"
    )
    if owners > 1:
        rule = later(
            "whatever one subject's records say at one owner changes the odds of any answer by a"
            " factor of e^{epsilon} = {odds} at most; a subject of several owners' counts at each"
        )
    yield indent + say(rule, epsilon=epsilon, odds=odds_words(epsilon))
    for what, error in errors_of(plan, epsilon, owners):
        yield indent + say(
            "{what}: 19 of 20 are within {error} of the true number", what=what, error=error
        )


def spent_line(spent: PrivacySpent) -> str:
    """Tell what was charged, and what is left."""
    return say(
        "epsilon: {charged} charged, {spent} of {cap} spent of these records by your group",
        charged=spent.charged,
        spent=spent.spent,
        cap=spent.cap,
    )


def price_lines(told: TableAnswer, asked: Asked) -> Iterator[str]:
    """Tell what tables would cost, and whether they would be made."""
    release, plan = told.verified.release, plan_by(told.view)
    privacy, reason = require_tables(told.view).privacy, told.refused
    yield f"{told.verified.template.name}:"
    if reason is Reason.PRICE_ONLY:
        yield say("the tables would be made")
    elif reason is not None:
        yield say(
            "it would be refused, {reason}: {what}",
            reason=reason,
            what=say(CATALOGUE[reason].what),
        )
        yield from (say("  next  {step}", step=step) for step in next_steps(reason, asked))
    if privacy is None:
        yield say("nothing is charged: rules hold their numbers back, and no budget")
    else:
        yield from noise_lines(plan, privacy.epsilon)
    if release.privacy is not None:
        yield say(
            "epsilon: {charged} would be charged; of these records your group has {left} of {cap}"
            " left",
            charged=release.privacy.charged,
            left=release.privacy.left,
            cap=release.privacy.cap,
        )
    yield say("nothing was charged; the request stands in the log")
    yield say("  id    {request_id}", request_id=told.verified.request_id)


def together_lines(told: Sequence[TableAnswer]) -> Iterator[str]:
    """Tell whether several plans of one owner can all be paid, asked one after the other."""
    by_owner: dict[str, dict[str, PrivacySpent]] = {}
    for each in told:
        release = each.verified.release
        if release.privacy is not None:
            by_owner.setdefault(release.owner, {})[release.certificate] = release.privacy
    for owner, prices in by_owner.items():
        if len(prices) > 1:
            asked = sum((each.charged for each in prices.values()), Decimal(0))
            left = min(each.left for each in prices.values())
            rule = later("all together: epsilon {asked} of {owner}'s records, of {left} left")
            if asked > left:
                rule = later("not all together: epsilon {asked} of {owner}'s records, {left} left")
            yield say(rule, asked=asked, owner=owner, left=left)


def price_document(told: TableAnswer) -> dict[str, object]:
    """Write a price for a program."""
    release, privacy = told.verified.release, require_tables(told.view).privacy
    refused = None if told.refused is Reason.PRICE_ONLY else told.refused
    errors = () if privacy is None else errors_of(plan_by(told.view), privacy.epsilon)
    return {
        "template": told.verified.template.name,
        "owner": release.owner,
        "request_id": told.verified.request_id,
        "refused": refused,
        "epsilon": None if privacy is None else str(privacy.epsilon),
        "privacy": spent_document(release.privacy),
        "within": dict(errors),
    }


def spent_document(spent: PrivacySpent | None) -> dict[str, str] | None:
    """Write what was charged for a program; none of tables without noise."""
    if spent is None:
        return None
    return {name: str(getattr(spent, name)) for name in ("charged", "spent", "cap")}
