"""Two models that were trained in the room, beside each other, offline."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.cli.fit_words import card_told, fit_document
from saferoom_client.cli.output import show
from saferoom_client.cli.room_jobs import require_word
from saferoom_client.cli.tables import table
from saferoom_client.fits.kept import KeptFit
from saferoom_client.tongue import later, say
from saferoom_client.training.folder import short
from saferoom_proto.fit_receipt import VerifiedFit
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError


def compare_in_room(kept: tuple[KeptFit, KeptFit], *, as_json: bool) -> None:
    """Show two cards beside each other, and whether the same rows measured them.

    Raises:
        SafeRoomError: `UNKNOWN_STATEMENT` where there is no model, or none is known of.
    """
    one, other = (_with_card(each) for each in kept)
    same = measured_alike(one, other)
    jobs = [each.job for each in kept]
    document = {
        "same_rows": same,
        "models": [fit_document(each, job) for each, job in zip((one, other), jobs, strict=True)],
    }
    headings = (later("model card"), *map(short, jobs))
    show(as_json, document, *table(headings, list(_rows(one, other))), _said(same=same))


def measured_alike(one: VerifiedFit, other: VerifiedFit) -> bool:
    """Tell whether the same rows were held out of both: of one label, columns and records."""
    return _measured_by(one) == _measured_by(other)


def _measured_by(verified: VerifiedFit) -> object:
    stores = [verified.release.store, *(each.store for each in verified.givers)]
    records = [None if each is None else each.digest for each in stores]
    return verified.part.label, sorted(verified.columns), records


def _said(*, same: bool) -> str:
    if same:
        return say("the same rows, held out of both, measured them")
    return say(
        "other columns, records or another label: other rows measured them, and figures differ by"
        " chance too"
    )


def _with_card(kept: KeptFit) -> VerifiedFit:
    verified = require_word(kept)
    if verified.card is None:
        rule = later("this job ended without a model")
        raise SafeRoomError(Reason.UNKNOWN_STATEMENT, rule, [FieldFault("job", rule)])
    return verified


def _rows(one: VerifiedFit, other: VerifiedFit) -> Iterator[tuple[str, str, str]]:
    """Lay out what is told of either, and then their weights by column."""
    ours, theirs = card_told(one), card_told(other)
    for name in dict.fromkeys((*ours, *theirs)):
        yield say(name), ours.get(name, "-"), theirs.get(name, "-")
    weights, others = (_weights(each) for each in (one, other))
    for column in dict.fromkeys((*weights, *others)):
        yield column, weights.get(column, "-"), others.get(column, "-")


def _weights(verified: VerifiedFit) -> dict[str, str]:
    told = () if verified.card is None else verified.card.weights or ()
    return {each.column: each.weight for each in told}
