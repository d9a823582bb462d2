"""A training's report in drawings."""

from __future__ import annotations

from saferoom_client.bars import bars
from saferoom_client.tongue import say
from saferoom_client.training.report import TrainingReport


def separation_chart(report: TrainingReport) -> str:
    """Draw the separation with and without the owner's columns."""
    return bars(
        [say("jointly"), say("alone")],
        {say("separation"): [report.separation, report.alone_separation]},
        flat=True,
    )


def lift_chart(report: TrainingReport) -> str:
    """Draw the lift by bands."""
    numbers = [str(number) for number in range(1, len(report.bands) + 1)]
    return bars(numbers, {say("lift"): [band.lift for band in report.bands]})


def weights_chart(report: TrainingReport) -> str:
    """Draw the weights, jointly and alone."""
    return bars(
        [each.name for each in report.weights],
        {
            say("jointly"): [each.joint for each in report.weights],
            say("alone"): [each.alone for each in report.weights],
        },
        flat=True,
    )
