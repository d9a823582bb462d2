"""Bands of a model's card in words, in the terminal, on a page and for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from saferoom_client.bars import bars, curve
from saferoom_client.sheet.rows import Form, Row, Section
from saferoom_client.table_words import odds_words
from saferoom_client.tongue import later, say
from saferoom_proto.fit_bands import MOST_BANDS, BandNoise, Curve, ToldBand, measured_noise
from saferoom_proto.formula import format_number
from saferoom_proto.statements import PrivacySpent
from saferoom_proto.statements.aggregate import FEWEST_DAYS
from saferoom_proto.statements.fit import FitPart
from saferoom_proto.statements.training import (
    HELD_OUT,
    MEASURED_BANDS,
    MOST_MEASURED,
    FitBands,
    TrainingPart,
)
from saferoom_proto.tables.privacy import Noise

HEADINGS: Final = (
    later("band"),
    later("rows"),
    later("events"),
    later("bad rate"),
    later("foretold"),
    later("lift"),
    later("events so far"),
    later("others so far"),
)
"""Of a table of bands."""


def describe_bands_asked(
    owner: str, part: FitPart, bands: FitBands, *, alone: bool
) -> Iterator[str]:
    """Tell an approver what bands tell, and with how much noise; `alone`: of no other owners."""
    yield say(
        "    the bands: of the rows held out, in at most {most} by score, how many came to {label},"
        " how many did not, and what the model foretold them; none of fewer than {least} of either"
        " by those numbers, and no point of a curve between",
        most=MOST_BANDS,
        label=part.label,
        least=bands.least,
    )
    yield _blurred(bands, BandNoise.of(bands.epsilon).counts)
    yield say(
        "      of rows that were trained on, three of four, nothing is promised by that: that"
        " nobody knows which these are keeps them"
    )
    if alone:
        yield say(
            "      a ridge or trees chosen otherwise are charged anew, and the same gives the same"
            " numbers to whoever asks"
        )
    else:
        yield say("      every owner charges each training, and each has noise of its own")
    yield _capped(bands, part.runs.days, owner)


def describe_measuring(part: TrainingPart, bands: FitBands, owner: str) -> Iterator[str]:
    """Tell an approver what is told of a joint model's rows held out, and with how much noise."""
    yield say(
        "    one common row of {of}, {most:,} at most, is not trained on: of these the institution"
        " is told how many came to the event, and how many did not, in {bands} bands of both sides'"
        " log-odds, which nobody sees of a row",
        of=HELD_OUT,
        most=MOST_MEASURED,
        bands=MEASURED_BANDS,
    )
    yield _blurred(bands, measured_noise(bands.epsilon))
    yield say(
        "      that holds for an institution that follows the protocol; the enclave cannot see"
        " whether what it counts for it are single rows"
    )
    yield _capped(bands, part.runs.days, owner)


def _blurred(bands: FitBands, counts: Noise) -> str:
    return say(
        "      with noise: whatever one of these rows says changes the odds of what is told by a"
        " factor of e^{epsilon} = {odds} at most; of a count 19 of 20 are within {error}",
        epsilon=bands.epsilon,
        odds=odds_words(bands.epsilon),
        error=format_number(counts.margin_of_error),
    )


def _capped(bands: FitBands, days: int, owner: str) -> str:
    return say(
        "      epsilon: at most {cap} in {days} days of all models of {owner}, for an institution"
        " and those that share what they learn; each training is charged, whatever became of it",
        cap=bands.cap,
        days=max(FEWEST_DAYS, days),
        owner=owner,
    )


def spent_words(spent: PrivacySpent) -> str:
    """Tell what a training was charged for its bands, and what is left."""
    return say(
        "{charged} charged, {spent} of {cap} spent by your group",
        charged=spent.charged,
        spent=spent.spent,
        cap=spent.cap,
    )


def price_words(price: PrivacySpent, owner: str) -> str:
    """Tell what a training would be charged for its bands, and what is left before it."""
    return say(
        "epsilon: {charged} would be charged; of {cap} for bands of all models of {owner} your"
        " group has {left} left",
        charged=price.charged,
        cap=price.cap,
        owner=owner,
        left=price.left,
    )


def band_rows(bands: tuple[ToldBand, ...]) -> list[tuple[str, ...]]:
    """Lay bands out as a table's rows, under `HEADINGS`."""
    return [
        (
            str(number),
            f"{band.rows:,}",
            f"{band.events:,}",
            f"{band.rate:.1%}",
            f"{float(band.foretold):.1%}",
            f"{lift:.2f}",
            f"{events:.0%}",
            f"{others:.0%}",
        )
        for number, (band, lift, (others, events)) in enumerate(Curve(bands).lines(), 1)
    ]


def describe_bands(
    bands: tuple[ToldBand, ...], epsilon: Decimal, noise: Noise | None = None
) -> Iterator[str]:
    """Tell what stands below a table of bands."""
    if not bands:
        yield say("no bands: too few rows are held out for two of them, by numbers with noise")
        return
    yield _within(epsilon, noise)
    yield _calibration(Curve(bands))


def bands_section(
    bands: tuple[ToldBand, ...], epsilon: Decimal, noise: Noise | None = None
) -> Section:
    """Lay bands out for a page, with a chart of what was foretold and what came.

    Args:
        bands: the riskiest first.
        epsilon: what they may tell.
        noise: of their counts; by default that of a training in the room.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    heading = say("Bands of the rows held out, the riskiest first")
    if not bands:
        return Section(heading, (Row(say("none"), "".join(describe_bands(bands, epsilon, noise))),))
    follows = Curve(bands)
    numbers = [str(at) for at in range(1, len(bands) + 1)]
    series = {
        say("bad rate"): [each.rate for each in bands],
        say("foretold"): [float(each.foretold) for each in bands],
    }
    roc = curve(follows.points, say("others so far"), say("events so far"))
    return Section(
        heading,
        (
            Row("", bars(numbers, series), Form.DRAWING),
            *(
                Row(say("band {number}", number=number), _line(*line))
                for number, line in enumerate(follows.lines(), 1)
            ),
            Row("", roc, Form.DRAWING),
            Row(say("calibration"), _calibration(follows)),
            Row(say("noise"), _within(epsilon, noise)),
        ),
    )


def bands_document(bands: tuple[ToldBand, ...] | None) -> dict[str, object] | None:
    """Write what follows of bands for a program; none where none are told."""
    if not bands:
        return None
    follows = Curve(bands)
    return {
        "rates": [each.rate for each in bands],
        "lifts": list(follows.lifts),
        "roc": [list(each) for each in follows.points],
        "ks": follows.ks,
        "calibration_error": follows.calibration_error,
    }


def _line(band: ToldBand, lift: float, reached: Sequence[float]) -> str:
    return say(
        "{rows:,} rows, {rate:.1%} bad, {foretold:.1%} foretold, lift {lift:.2f}; with those before"
        " it {events:.0%} of the events and {others:.0%} of the others",
        rows=band.rows,
        rate=band.rate,
        foretold=float(band.foretold),
        lift=lift,
        events=reached[1],
        others=reached[0],
    )


def _within(epsilon: Decimal, noise: Noise | None) -> str:
    error = (noise or BandNoise.of(epsilon).counts).margin_of_error
    return say(
        "by numbers with noise (epsilon {epsilon}): of a count 19 of 20 are within {error} of the"
        " true number, in a band of several joined ones within more",
        epsilon=epsilon,
        error=format_number(error),
    )


def _calibration(follows: Curve) -> str:
    return say(
        "rates are {error:.1%} from what was foretold, on average over rows; KS at bands' edges"
        " {ks:.2f}",
        error=follows.calibration_error,
        ks=follows.ks,
    )
