"""A training in the room in plain words: its template, what became of it, and the model's card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.band_words import (
    HEADINGS,
    band_rows,
    bands_document,
    describe_bands,
    describe_bands_asked,
    price_words,
    spent_words,
)
from saferoom_client.cli.beside_others import beside_others
from saferoom_client.cli.noise_words import spent_document
from saferoom_client.cli.output import Shown, mapping, moment
from saferoom_client.cli.table_words import describe_features
from saferoom_client.cli.tables import table
from saferoom_client.fits.prices import FitPrice
from saferoom_client.tongue import later, say, titled
from saferoom_client.values import TemplateView
from saferoom_proto.certificate import OwnerPart
from saferoom_proto.fit_receipt import FitReceipt, VerifiedFit, verify_fit_receipt
from saferoom_proto.fits import ModelCard
from saferoom_proto.reasons import CATALOGUE, Reason
from saferoom_proto.statements import Fit, FitFigure, FitMethod
from saferoom_proto.statements.fit import FEWEST_IN_LEAF, HELD_OUT, FitPart
from saferoom_proto.statements.training import NEAREST_SETS
from saferoom_proto.trust import Trust

_METHODS: Final = {
    FitMethod.LOGISTIC: later("a logistic regression"),
    FitMethod.BOOSTING: later("trees, by histogram gradient boosting"),
}
_FIGURES: Final = {
    FitFigure.ROWS: later("how many rows, in tens"),
    FitFigure.AUC: later("AUC on rows held out, to 0.01"),
    FitFigure.KS: later("KS on rows held out, to 0.01"),
    FitFigure.WEIGHTS: later("the model's weights of standardised columns, to 0.01"),
    FitFigure.BANDS: later("bands of the rows held out, with noise"),
}
_CHECKED: Final = later("the charters, agreement, approvals, enclave, the card, and the log")
_CHECKED_REFUSAL: Final = later("the charters, agreement, enclave, what it said, and the log")


def describe_fit(fit: Fit) -> Iterator[str]:
    """Tell what is trained, before the owner's part."""
    yield say(
        "    {model} that foretells {label}, within the enclave of {owner}: the institution brings"
        " nothing",
        model=say(_METHODS[fit.algorithm]),
        label=fit.label,
        owner=fit.owner,
    )
    if fit.inverse_ridge is not None:
        yield say(
            "    an inverse ridge from {least} to {most}",
            least=fit.inverse_ridge.least,
            most=fit.inverse_ridge.most,
        )
    else:
        yield say(
            "    at most {trees} trees of at most {leaves} leaves",
            trees=fit.trees,
            leaves=fit.leaves,
        )
    if fit.givers:
        yield say(
            "    the columns of {owners} are brought together there, for the subjects that all of"
            " these owners hold",
            owners=", ".join(fit.owners),
        )


def describe_fit_part(view: TemplateView, part: OwnerPart, fit: FitPart) -> Iterator[str]:
    """Tell what an owner's enclave does for a training in the room, and what of it gets out."""
    asked = view.template.fit
    if asked is not None and part.owner != asked.owner:
        yield from _describe_giver(view, part, fit, asked.owner)
        return
    yield say(
        "  {owner} ({title}) trains on {columns} columns of its own, and its own label:",
        owner=part.owner,
        title=titled(view.charters[part.owner].charter.title),
        columns=len(fit.columns),
    )
    yield from describe_features(view, part)
    if asked is not None and asked.givers:
        yield from beside_others(part.owner, asked.owner)
    yield say(
        "    of all subjects of whom any feature tells and the label is known, without asking them;"
        " one of {parts} is held out, and measures the model",
        parts=HELD_OUT,
    )
    yield say(
        "    fewer than {rows} rows, or {events} of the rarer label, or rows that differ from an"
        " earlier training's by 1 to {nearest}, or that can be told from others by the model:"
        " nothing is told, and it counts",
        rows=fit.least_rows,
        events=fit.least_events,
        nearest=NEAREST_SETS - 1,
    )
    if fit.algorithm is FitMethod.BOOSTING:
        yield say("    no leaf and no bin of fewer than {rows} rows", rows=FEWEST_IN_LEAF)
    told = ", ".join(say(_FIGURES[each]) for each in fit.releases) or say("nothing")
    yield say("    what leaves: {told}", told=told)
    if fit.bands is not None:
        alone = asked is None or not asked.givers
        yield from describe_bands_asked(part.owner, fit, fit.bands, alone=alone)
    yield say("    and how well an attack tells the rows it was trained on from others")
    yield say(
        "    the model stays sealed in the enclave of {owner}; a score by it is another template",
        owner=part.owner,
    )
    yield from _runs(fit)


def _describe_giver(view: TemplateView, part: OwnerPart, fit: FitPart, host: str) -> Iterator[str]:
    """Tell an owner whose columns are trained on in another's enclave what becomes of them."""
    yield say(
        "  {owner} ({title}) brings {columns} columns:",
        owner=part.owner,
        title=titled(view.charters[part.owner].charter.title),
        columns=len(fit.columns),
    )
    yield from describe_features(view, part)
    yield from beside_others(part.owner, host)
    yield say(
        "    of which subjects {host} knows the label, the enclave of {owner} is told, and keeps"
        " those alone that all owners hold",
        host=host,
        owner=part.owner,
    )
    yield say(
        "    fewer than {rows} of these, or rows that differ from an earlier training's by 1 to"
        " {nearest}: nothing is given or told, and it counts",
        rows=fit.least_rows,
        nearest=NEAREST_SETS - 1,
    )
    yield say(
        "    what leaves in the end: the card that {host}'s enclave tells the institution, of the"
        " whole model",
        host=host,
    )
    if fit.bands is not None:
        yield from describe_bands_asked(part.owner, fit, fit.bands, alone=False)
    yield say(
        "    the weights of these columns stay sealed in the enclave of {owner}; a score by them is"
        " another template",
        owner=part.owner,
    )
    yield from _runs(fit)


def _runs(fit: FitPart) -> Iterator[str]:
    yield say(
        "    at most {most} trainings in {days} days for an institution and those that share what"
        " they learn, whatever became of each",
        most=fit.runs.most,
        days=fit.runs.days,
    )
    yield say("    another template over the same columns has trainings of its own: they add up")


def describe_outcome(verified: VerifiedFit, job: str) -> Iterator[str]:
    """Tell what became of a training in the room."""
    release = verified.release
    yield _outcome(verified)
    yield say("  id      {job}", job=job)
    yield say("  by      the enclave of {owner}", owner=release.owner)
    for each in verified.givers:
        yield say(
            "  with    the columns of {owner}, whose enclave let it begin: run {run} of at most"
            " {most} in {days} days",
            owner=each.owner,
            run=each.run,
            most=verified.part.runs.most,
            days=verified.part.runs.days,
        )
        if each.privacy is not None:
            yield say("          epsilon {spent}", spent=spent_words(each.privacy))
    if release.reason is not None:
        words = CATALOGUE[release.reason]
        yield say("  why     {reason}: {what}", reason=release.reason, what=say(words.what))
        yield say("  next    {step}", step=_next(release.reason))
    if release.run is not None:
        yield say(
            "  run     {run} of at most {most} in {days} days",
            run=release.run,
            most=verified.part.runs.most,
            days=verified.part.runs.days,
        )
    if release.privacy is not None:
        yield say("  epsilon {spent}", spent=spent_words(release.privacy))
    if release.model is not None:
        yield say("  model   {model}; it stays sealed with the owner", model=release.model)


def _outcome(verified: VerifiedFit) -> str:
    release = verified.release
    if release.cancel is None:
        return say("trained in the room") if verified.card is not None else say("refused")
    if release.run is None:
        return say("cancelled before it was begun: it does not count")
    return say("cancelled; it had begun, and counts as a run")


def describe_price(told: FitPrice) -> Iterator[str]:
    """Tell what a training would cost, and whether it would be refused."""
    release, reason = told.verified.release, told.refused
    yield f"{told.verified.template.name}:"
    if reason is None:
        yield say("the model would be trained")
    else:
        what = say(CATALOGUE[reason].what)
        yield say("it would be refused, {reason}: {what}", reason=reason, what=what)
        yield say("  next  {step}", step=_next(reason))
    if release.privacy is not None:
        yield price_words(release.privacy, release.owner)
    elif told.verified.part.bands is None:
        yield say("nothing is charged: the card tells no bands; it counts as a run")
    yield say("nothing was charged; the request stands in the log")
    yield say("  id    {request_id}", request_id=told.verified.said.request_id)


def price_document(told: FitPrice) -> dict[str, object]:
    """Write a price for a program."""
    release = told.verified.release
    return {
        "template": told.verified.template.name,
        "owner": release.owner,
        "request_id": told.verified.said.request_id,
        "refused": told.refused,
        "privacy": spent_document(release.privacy),
    }


def _next(reason: Reason) -> str:
    if reason is Reason.WITHHELD:
        return say(
            "too few rows for the template, nearly the same as before, or a model that tells its"
            " rows from others: wait for the owner's next load; this counted as a run"
        )
    return say(CATALOGUE[reason].next_step)


def describe_card(verified: VerifiedFit) -> Iterator[str]:
    """Show a model's card."""
    card = verified.card
    if card is None:
        return
    yield say("Model card")
    yield from (f"  {line}" for line in mapping(card_told(verified)))
    yield say(
        "  membership: of whoever guesses by their loss which rows were trained on, how much more"
        " often it is right of those than wrong of others; by chance it comes to {chance} in one"
        " of a thousand models",
        chance=card.by_chance,
    )
    if card.weights is not None:
        rows = [(each.column, each.weight) for each in card.weights]
        yield from (f"  {line}" for line in table(("column", "weight"), rows))
    asked = verified.part.bands
    if card.bands is not None and asked is not None:
        told = table(HEADINGS, band_rows(card.bands)) if card.bands else ()
        yield from (f"  {line}" for line in told)
        yield from (f"  {line}" for line in describe_bands(card.bands, asked.epsilon))


def card_told(verified: VerifiedFit) -> dict[str, str]:
    """Name what a card tells, but for weights and bands; nothing where there is none."""
    request, part, card = verified.request, verified.part, verified.card
    if card is None:
        return {}
    if request.inverse_ridge is not None:
        chosen = say("inverse ridge {ridge}", ridge=request.inverse_ridge)
    else:
        chosen = say("{trees} trees of {leaves} leaves", trees=request.trees, leaves=request.leaves)
    told = {
        later("model"): say(_METHODS[part.algorithm]) + "; " + chosen,
        "of": ", ".join(verified.columns),
        "label": part.label,
        "records": "; ".join(_records(verified, card)),
        "rows": None if card.rows is None else f"{card.rows:,}",
        later("AUC, held out"): card.auc,
        later("KS, held out"): card.ks,
        "membership": card.membership,
        "purpose": str(request.purpose),
        "at": moment(verified.release.time),
    }
    return {name: value for name, value in told.items() if value is not None}


def _records(verified: VerifiedFit, card: ModelCard) -> Iterator[str]:
    yield say("{owner}, period {epoch}", owner=card.owner, epoch=card.epoch)
    for each in verified.givers:
        yield say("{owner}, period {epoch}", owner=each.owner, epoch=each.store.epoch)


def fit_document(verified: VerifiedFit, job: str) -> dict[str, object]:
    """Write it for a program."""
    release, card = verified.release, verified.card
    return {
        "job": job,
        "owner": release.owner,
        "template": verified.template.name,
        "outcome": str(release.outcome),
        "reason": None if release.reason is None else str(release.reason),
        "cancel": release.cancel,
        "run": release.run,
        "givers": [
            {"owner": each.owner, "run": each.run, "privacy": spent_document(each.privacy)}
            for each in verified.givers
        ],
        "model": release.model,
        "time": release.time.isoformat(),
        "privacy": spent_document(release.privacy),
        "card": None if card is None else card.model_dump(mode="json"),
        "curve": None if card is None else bands_document(card.bands),
    }


def shown_fit(receipt: FitReceipt, trust: Trust) -> Shown:
    """Verify a receipt of a training in the room and lay out what it says."""
    verified = verify_fit_receipt(receipt, trust)
    said = verified.said
    told = say("verified: {what}", what=say(_CHECKED if verified.card else _CHECKED_REFUSAL))
    asked = say(
        "{institution}, for {purpose}",
        institution=said.request.institution,
        purpose=said.request.purpose,
    )
    lines = mapping({"asked by": asked, "training": said.template.name})
    place = say(
        "  {owner}: {moment}, entry {index} of the log",
        owner=said.release.owner,
        moment=moment(said.release.time),
        index=said.index,
    )
    document = {
        "verified": True,
        **fit_document(verified, said.request_id),
        "request": said.request.model_dump(mode="json"),
        "entry": said.index,
        "log_size": said.checkpoint.size,
    }
    outcome = (*describe_outcome(verified, said.request_id), *describe_card(verified))
    return Shown(document, (told, *lines, *outcome, place))
