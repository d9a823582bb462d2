"""Federations in words: what is proposed, how it stands, what was trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.cli.output import moment
from saferoom_client.cli.tables import table
from saferoom_client.federating.view import FederationView
from saferoom_client.federations import FederationTrained
from saferoom_client.tongue import later, say

LISTED_HEADINGS: Final = ("federation", "name", "banks", "state", "until")
_FINDINGS: Final = {
    "CONSTANT": later("left out: the same in all rows, or far narrower than its bounds"),
    "RARE": later("left out: fewer than 50 rows of all banks carry it"),
    "RARE_HERE": later("fewer than 10 of your rows differ from the rest; taken as the rest"),
    "CUT": later("some of your rows lie beyond its bounds; taken as the bounds"),
    "FEW_EVENTS": later("fewer than 10 events for each column: the ridge holds the weights"),
    "NOT_CONVERGED": later("not converged: take a stronger ridge or more rounds"),
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
    yield say(
        "{rows:,} rows of {banks} banks, {events:,} with the event; {rounds} rounds{converged}",
        rows=model.rows,
        banks=len(model.banks),
        events=model.events,
        rounds=model.rounds,
        converged="" if model.converged else say(", not converged"),
    )
    yield say("  separation {separation:.3f}", separation=model.separation)
    rows = [
        (name, f"{weight:+.4f}") for name, weight in zip(model.names, model.weights, strict=True)
    ]
    rows.append((say("(intercept)"), f"{model.intercept:+.4f}"))
    yield from (f"  {line}" for line in table(("column", "weight"), rows))
    for kind, place, _ in model.findings:
        yield f"  {kind} {place}: {say(_FINDINGS[kind])}"
    yield say("  model in {path}", path=trained.file)
    if trained.view.differing:
        names = ", ".join(each.institution for each in trained.view.differing)
        yield say("  THEY DO NOT SAY THE SAME: {names} tell of another course", names=names)
