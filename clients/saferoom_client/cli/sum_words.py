"""Sums over owners on the command line: the totals, each owner's word and charge, the receipt."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from saferoom_client.cli.next_steps import Asked, next_steps
from saferoom_client.cli.noise_words import noise_lines, spent_document
from saferoom_client.cli.output import Shown, mapping, moment
from saferoom_client.cli.table_receipt import tables_document
from saferoom_client.stats import plan_by, require_tables
from saferoom_client.sums import SumAnswer
from saferoom_client.table_words import errors_of, of_all
from saferoom_client.tongue import later, say
from saferoom_proto.reasons import CATALOGUE, Reason
from saferoom_proto.statements import TableRelease
from saferoom_proto.tables.sum_receipt import SumReceipt, VerifiedSum, verify_sum_receipt
from saferoom_proto.trust import Trust

_CHECKED = later("the charters, agreements, approvals, enclaves, all shares, and the log")
_CHECKED_REFUSAL = later("the charters, agreements, enclaves, what each of them said, and the log")


def owners_lines(verified: VerifiedSum) -> Iterator[str]:
    """Tell what each owner's enclave said and charged, about which period."""
    for owner, heard in verified.words.items():
        said = heard.release
        epoch = 0 if said.store is None else said.store.epoch
        yield say(
            "  {owner}, period {epoch}: {said}; {moment}, entry {index} of the log",
            owner=owner,
            epoch=epoch,
            said=_said(said),
            moment=moment(said.time),
            index=heard.index,
        )


def _said(said: TableRelease) -> str:
    if said.reason is not None and said.reason is not Reason.PRICE_ONLY:
        return say("refused, {reason}", reason=said.reason)
    if said.privacy is None:
        return say("it would give its part")
    rule = later("epsilon {charged} charged, {spent} of {cap} spent by your group")
    if said.reason is Reason.PRICE_ONLY:
        rule = later("epsilon {charged} would be charged; {left} of {cap} left")
    before = said.privacy.spent - said.privacy.charged
    return say(
        rule,
        charged=said.privacy.charged,
        spent=said.privacy.spent,
        left=max(Decimal(0), said.privacy.cap - before),
        cap=said.privacy.cap,
    )


def charged_notes(verified: VerifiedSum) -> Iterator[str]:
    """Tell, of a sum that one owner refused, what the others charged all the same."""
    for owner, heard in verified.words.items():
        if heard.release.reason is None and heard.release.privacy is not None:
            yield say(
                "{owner} charged epsilon {charged}; the same tables asked again cost nothing more",
                owner=owner,
                charged=heard.release.privacy.charged,
            )


def sum_lines(answer: SumAnswer) -> Iterator[str]:
    """Tell what follows the totals."""
    verified, aggregate = answer.verified, require_tables(answer.view)
    yield of_all(verified.tables or ())
    yield say("added up over {owners}", owners=", ".join(aggregate.owners))
    yield from owners_lines(verified)
    yield from mapping({"id": verified.request_id})
    if aggregate.privacy is not None:
        owners = len(aggregate.owners)
        yield from noise_lines(plan_by(answer.view), aggregate.privacy.epsilon, owners=owners)


def sum_price_lines(answer: SumAnswer, asked: Asked) -> Iterator[str]:
    """Tell what a sum would cost at each owner, and whether all would give their parts."""
    verified, aggregate = answer.verified, require_tables(answer.view)
    yield f"{verified.template.name}:"
    refused = verified.refused
    if refused is None or refused.reason is None:
        yield say("all owners would give their parts")
    else:
        yield say(
            "it would be refused by {owner}, {reason}: {what}",
            owner=refused.owner,
            reason=refused.reason,
            what=say(CATALOGUE[refused.reason].what),
        )
        yield from (say("  next  {step}", step=step) for step in next_steps(refused.reason, asked))
    yield from owners_lines(verified)
    if aggregate.privacy is not None:
        owners = len(aggregate.owners)
        yield from noise_lines(plan_by(answer.view), aggregate.privacy.epsilon, owners=owners)
    yield say("nothing was charged; the request stands in the log")
    yield say("  id    {request_id}", request_id=verified.request_id)


def sum_document(verified: VerifiedSum) -> dict[str, object]:
    """Write a sum, or what owners said of it, for a program."""
    refused = verified.refused
    return {
        "template": verified.template.name,
        "request_id": verified.request_id,
        "owners": {
            owner: {
                "outcome": heard.release.outcome,
                "reason": heard.release.reason,
                "epoch": None if heard.release.store is None else heard.release.store.epoch,
                "time": heard.release.time.isoformat(),
                "entry": heard.index,
                "privacy": spent_document(heard.release.privacy),
            }
            for owner, heard in verified.words.items()
        },
        "refused_by": None if refused is None else refused.owner,
        "tables": None if verified.tables is None else tables_document(verified.tables),
    }


def sum_price_document(answer: SumAnswer) -> dict[str, object]:
    """Write what a sum would cost for a program."""
    aggregate, refused = require_tables(answer.view), answer.verified.refused
    privacy = aggregate.privacy
    owners = len(aggregate.owners)
    errors = () if privacy is None else errors_of(plan_by(answer.view), privacy.epsilon, owners)
    return {
        **sum_document(answer.verified),
        "refused": None if refused is None else refused.reason,
        "epsilon": None if privacy is None else str(privacy.epsilon),
        "within": dict(errors),
    }


def shown_sum(receipt: SumReceipt, trust: Trust) -> Shown:
    """Verify a sum's receipt and lay out what it says."""
    verified = verify_sum_receipt(receipt, trust)
    tables = verified.tables
    lines = mapping(
        {
            "asked by": say(
                "{institution}, for {purpose}",
                institution=verified.request.institution,
                purpose=verified.request.purpose,
            ),
            "tables": verified.template.name,
            "answer": say("refused") if tables is None else of_all(tables),
            "id": verified.request_id,
        }
    )
    told = say("verified: {what}", what=say(_CHECKED_REFUSAL if tables is None else _CHECKED))
    document = {
        "verified": True,
        "request": verified.request.model_dump(mode="json"),
        **sum_document(verified),
    }
    return Shown(document, (told, *lines, *owners_lines(verified)))
