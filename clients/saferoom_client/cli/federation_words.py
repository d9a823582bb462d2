"""Federations in words: what is proposed, how it stands, what was trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.cli.output import moment
from saferoom_client.cli.rules_said import say_rule
from saferoom_client.cli.tables import table
from saferoom_client.federating.scoring import FederationScored
from saferoom_client.federating.view import FederationView
from saferoom_client.federations import FederationTrained
from saferoom_client.tongue import later, say
from saferoom_models.horizontal.model import FindingKind

LISTED_HEADINGS: Final = ("federation", "name", "banks", "state", "until")
_FINDINGS: Final = {
    FindingKind.CONSTANT: later("left out: the same in all rows, or far narrower than its bounds"),
    FindingKind.RARE: later("left out: fewer than 50 rows of all banks carry it"),
    FindingKind.RARE_HERE: later(
        "fewer than 10 of your rows differ from the rest; taken as the rest"
    ),
    FindingKind.CUT: later("some of your rows lie beyond its bounds; taken as the bounds"),
    FindingKind.FEW_EVENTS: later(
        "fewer than 10 events for each column: the ridge holds the weights"
    ),
    FindingKind.NOT_CONVERGED: later("not converged: take a stronger ridge or more rounds"),
}


def listed_row(view: FederationView) -> tuple[str, ...]:
    """Give a federation's row in a list."""
    proposal = view.proposal
    banks = f"{len(view.joins)}/{len(proposal.banks)}"
    until = moment(proposal.valid_to)
    return view.federation, proposal.name, banks, say(view.state), until


def describe(view: FederationView) -> Iterator[str]:
    """Tell what is trained, with whom, and how it stands."""
    proposal = view.proposal
    yield f"{proposal.title.en} / {proposal.title.zh}"
    yield say("  id      {id}", id=view.federation)
    yield say("  state   {state}", state=say(view.state))
    yield say("  by      {institution}", institution=proposal.institution)
    yield say("  event   {event}", event=proposal.event)
    yield say(
        "  bounds  inverse ridge {ridge}; at most {rounds} rounds; {rows:,} rows of each bank or "
        "more; a step waits {seconds} s for a bank",
        ridge=proposal.inverse_ridge,
        rounds=proposal.rounds,
        rows=proposal.fewest_rows,
        seconds=proposal.wait_seconds,
    )
    yield say("  until   {moment}", moment=moment(proposal.valid_to))
    yield say(
        "  seen    by every bank and the room: sums over all banks, and the model; by {some} banks "
        "that join forces: the last one's sums",
        some=len(proposal.banks) - 1,
    )
    banks = [
        (bank, say("joined") if bank in view.joins else "", view.certificates.get(bank, ""))
        for bank in proposal.banks
    ]
    yield from (f"  {line}" for line in table(("bank", "state", "certificate"), banks))
    columns = [(each.name, str(each.low), str(each.high)) for each in proposal.columns]
    yield from (f"  {line}" for line in table(("column", "from", "to"), columns))
    for each in view.ends:
        yield say("  ended by {bank}: {why}", bank=each.institution, why=each.why)
    if view.ended:
        yield say("  ended   {why}", why=view.ended)
    if view.missing:
        yield say("  waiting for {banks}", banks=", ".join(view.missing))
    for each in view.results:
        yield say(
            "  {bank} trained over {rows:,} rows of {banks} banks in {rounds} rounds",
            bank=each.institution,
            rows=each.rows,
            banks=len(each.banks),
            rounds=each.rounds,
        )
    if view.differing:
        names = ", ".join(each.institution for each in view.differing)
        yield say("  THEY DO NOT SAY THE SAME: {names} tell of another course", names=names)


def describe_model(trained: FederationTrained) -> Iterator[str]:
    """Tell what came of a training."""
    if trained.ended:
        yield say("it ended before its end: {why}", why=trained.ended)
    model = trained.model
    if model is None:
        yield say("there is no model")
        return
    fitted = model.fitted
    yield say(
        "{rows:,} rows of {banks} banks, {events:,} with the event; {rounds} rounds{converged}",
        rows=fitted.rows,
        banks=len(model.banks),
        events=fitted.events,
        rounds=fitted.rounds,
        converged="" if fitted.converged else say(", not converged"),
    )
    yield say("  separation {separation:.3f}", separation=fitted.separation)
    rows = [
        (name, f"{weight:+.4f}") for name, weight in zip(fitted.names, fitted.weights, strict=True)
    ]
    rows.append((say("(intercept)"), f"{fitted.intercept:+.4f}"))
    yield from (f"  {line}" for line in table(("column", "weight"), rows))
    for each in (*fitted.findings, *model.findings_here):
        yield f"  {each.kind} {each.place}: {say(_FINDINGS[each.kind])}"
    yield say("  model in {path}", path=trained.file)
    if trained.view.differing:
        names = ", ".join(each.institution for each in trained.view.differing)
        yield say("  THEY DO NOT SAY THE SAME: {names} tell of another course", names=names)


def describe_scores(scored: FederationScored) -> Iterator[str]:
    """Tell what came of scoring a file."""
    fitted = scored.model.fitted
    yield say(
        "{rows:,} rows scored by the model of {name}, {bad:,} not",
        rows=scored.rows,
        name=scored.model.name,
        bad=scored.bad,
    )
    for each in scored.faults:
        rule = f"{each.column}: {say_rule(each.rule)}" if each.column else say_rule(each.rule)
        yield say("  line {line}: {rule}", line=each.line, rule=rule)
    if scored.cut:
        yield say(
            "  {rows:,} rows have a value beyond its column's bounds; taken as the bounds",
            rows=scored.cut,
        )
    if not fitted.converged:
        yield f"  {FindingKind.NOT_CONVERGED}: {say(_FINDINGS[FindingKind.NOT_CONVERGED])}"
    yield say("  scores in {path}", path=scored.file)


def scored_document(scored: FederationScored) -> dict[str, object]:
    """Give what came of scoring a file for programs."""
    return {
        "federation": scored.model.federation,
        "name": scored.model.name,
        "rows": scored.rows,
        "bad": scored.bad,
        "cut": scored.cut,
        "faults": [each._asdict() for each in scored.faults],
        "converged": scored.model.fitted.converged,
        "out": str(scored.file),
    }
