"""Jobs in words: how one stands, how it ended, what can be told of its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saferoom_client.band_words import HEADINGS, band_rows, describe_bands
from saferoom_client.cli.output import mapping, moment
from saferoom_client.cli.tables import table
from saferoom_client.jobs import JobEnd
from saferoom_client.tongue import later, say
from saferoom_client.training.notes import note_words
from saferoom_client.training.progress import JobProgress, Stage
from saferoom_client.training.report import Held, TrainingReport
from saferoom_client.training.states import JobView
from saferoom_proto.fit_bands import measured_noise
from saferoom_proto.reasons import CATALOGUE, Reason
from saferoom_proto.statements import JobOutcome, JobStep

LISTED_HEADINGS: Final = (
    later("job"),
    later("owner"),
    later("institution"),
    later("state"),
    later("round"),
    later("in"),
    later("out"),
    later("began"),
    later("reason"),
)

_STAGES: Final = {
    Stage.ASKING: later("reading your table, blinding its subjects and asking"),
    Stage.WAITING: later("the room cannot be reached; trying again"),
    Stage.QUEUED: later("waiting for the enclave's turn"),
    Stage.ALIGNING: later("aligning: which subjects both hold"),
    Stage.TRAINING: later("training"),
    Stage.REPORTING: later("writing the report"),
}
_OUTCOMES: Final = {
    JobOutcome.RELEASED: later("trained"),
    JobOutcome.REFUSED: later("refused"),
    JobOutcome.CANCELLED: later("cancelled"),
    JobOutcome.FAILED: later("failed"),
}
_STEPS: Final = {
    JobStep.ADMISSION: later("before it began"),
    JobStep.ALIGNMENT: later("while the two sides found out which subjects both hold"),
    JobStep.TRAINING: later("while it was trained"),
}


def listed_row(view: JobView) -> tuple[str, ...]:
    """Give a job's row in a list."""
    return (
        view.job,
        view.owner,
        view.institution,
        view.state,
        f"{view.round}/{view.rounds}" if view.round else "",
        _bytes(view.received),
        _bytes(view.sent),
        moment(view.began),
        view.reason,
    )


def describe_progress(progress: JobProgress) -> str:
    """Tell how far a job is, in one line."""
    told = [say(_STAGES[progress.stage])]
    if progress.rows is not None and not progress.rounds:
        told.append(say("{rows:,} common subjects", rows=progress.rows))
    if progress.rounds:
        told.append(
            say("round {round} of at most {rounds}", round=progress.round, rounds=progress.rounds)
        )
    if progress.distance is not None:
        told.append(say("gradient {distance:.3f} of its first", distance=progress.distance))
    if progress.separation is not None:
        told.append(say("separation {separation:.3f}", separation=progress.separation))
    if progress.sent or progress.received:
        told.append(
            say(
                "sent {sent}, received {received}",
                sent=_bytes(progress.sent),
                received=_bytes(progress.received),
            )
        )
    if progress.seconds_left is not None:
        told.append(say("{seconds:.0f} s left", seconds=progress.seconds_left))
    return "; ".join(told)


def describe_end(end: JobEnd) -> Iterator[str]:
    """Tell how a job ended: what became of it, at which step, why, and what can be done."""
    release = end.release
    yield say(
        "{outcome} {step}",
        outcome=say(_OUTCOMES[release.outcome]),
        step="" if release.outcome is JobOutcome.RELEASED else say(_STEPS[release.ended_in]),
    ).rstrip()
    yield say("  id      {job}", job=end.job)
    yield say("  by      the enclave of {owner}", owner=release.owner)
    if release.reason is not None:
        words = CATALOGUE[release.reason]
        yield say("  why     {reason}: {what}", reason=release.reason, what=say(words.what))
        yield say("  next    {step}", step=_next(release.reason))
    if release.model is not None:
        yield say(
            "  model   {model}; the owner's part of it stays with the owner", model=release.model
        )


def _next(reason: Reason) -> str:
    if reason is Reason.WITHHELD:
        return say(
            "too few common subjects, or nearly the same set as before: bring other rows; this"
            " counted as a run"
        )
    return say(CATALOGUE[reason].next_step)


def describe_report(report: TrainingReport) -> Iterator[str]:
    """Tell what can be told of a model."""
    yield say(
        "trained on {rows:,} common subjects, {events:,} with the event;"
        " {rounds} rounds{converged}",
        rows=report.rows,
        events=report.events,
        rounds=report.rounds,
        converged="" if report.converged else say(", not converged"),
    )
    yield from (
        f"  {line}"
        for line in mapping(
            {
                "separation, jointly": f"{report.separation:.3f}",
                "separation, your columns alone": f"{report.alone_separation:.3f}",
                "AUC, your columns alone, held out": f"{report.alone_auc:.3f}",
                "KS, your columns alone, held out": f"{report.alone_ks:.3f}",
            }
        )
    )
    yield say("  separation: mean foretold risk of those with the event, less that of the others.")
    if report.held is None:
        yield say(
            "  Nobody holds joint scores of rows, so there is no joint AUC: a template that tells"
            " bands has rows held out and counted."
        )
    else:
        yield from (f"  {line}" for line in _held(report.held))
    rows = [(each.name, f"{each.joint:+.3f}", f"{each.alone:+.3f}") for each in report.weights]
    yield from (f"  {line}" for line in table(("your column", "jointly", "alone"), rows))
    for note in report.notes:
        yield f"  {note_words(note)}"


def _held(held: Held) -> Iterator[str]:
    yield say(
        "{rows:,} rows were held out, {events:,} of them with the event",
        rows=held.rows,
        events=held.events,
    )
    if held.auc is not None and held.ks is not None and held.margin is not None:
        yield from mapping(
            {
                "AUC, jointly, held out": f"{held.auc:.3f} ± {held.margin:.3f}",
                "KS, jointly, held out": f"{held.ks:.3f}",
            }
        )
    yield from table(HEADINGS, band_rows(held.bands))
    yield from describe_bands(held.bands, held.epsilon, measured_noise(held.epsilon))


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} B"  # noqa: PLR2004 - where a tenth of a MB begins
