"""A training's report as one page for people, with charts and a model card."""

from __future__ import annotations

from collections.abc import Iterator

from saferoom_client.band_words import bands_section
from saferoom_client.report.pdf import pdf
from saferoom_client.sheet.render import html
from saferoom_client.sheet.rows import Form, Page, Row, Section, moment
from saferoom_client.tongue import later, say, spoken
from saferoom_client.training.charts import lift_chart, separation_chart, weights_chart
from saferoom_client.training.notes import note_words
from saferoom_client.training.report import Held, TrainingReport
from saferoom_proto.fit_bands import measured_noise

USES = (
    later("To understand which of your columns keep their weight beside the owner's."),
    later("As one half of a scorecard: the owner's half stays sealed in the owner's enclave."),
)
LIMITS = (
    later("Only subjects that both sides hold are in it: others may behave otherwise."),
    later("Labels and columns are as the institution brought them; the owner cannot check them."),
    later("Where it scores, the owner's half is a band: a total is as exact as the bands are."),
)


_UNMEASURED = later(
    "It was measured on the rows it was trained on; nobody holds joint scores of rows."
)
_MEASURED = later(
    "It was measured once, on rows held out of the same ones, by counts with noise; others may"
    " differ."
)


def page_of(report: TrainingReport) -> Page:
    """Make the page in the language that is spoken.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    return Page(
        language=spoken(),
        title=say("Model of {template}", template=report.template),
        lead=say(
            "What {institution} can tell of a model that it trained with {owner}; it holds"
            " its own numbers only.",
            institution=report.institution,
            owner=report.owner,
        ),
        tone="yes" if report.converged else "refused",
        answer=say(
            "Separation {joint:.3f} with the owner's columns, {alone:.3f} without",
            joint=report.separation,
            alone=report.alone_separation,
        ),
        sections=tuple(_sections(report)),
    )


def write_page(report: TrainingReport) -> bytes:
    """Write the page as HTML.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    return html(page_of(report)).encode()


def write_pdf(report: TrainingReport) -> bytes:
    """Write the page as PDF.

    Raises:
        SafeRoomError: `NOT_INSTALLED`; `MALFORMED` for a character that no font here has.
    """
    return pdf(page_of(report), report.time)


def _sections(report: TrainingReport) -> Iterator[Section]:
    yield Section(
        say("How far it tells"),
        (
            Row(say("separation"), f"{report.separation:.4f}"),
            Row(say("of your columns alone"), f"{report.alone_separation:.4f}"),
            Row(
                say("what that is"),
                say(
                    "Mean foretold risk of those with the event, less that of the others:"
                    " 0 tells nothing, 1 tells all (Tjur 2009)."
                ),
            ),
            Row("", separation_chart(report), Form.DRAWING),
        ),
    )
    if report.held is not None:
        yield from _of_held(report.held)
    yield Section(
        say("Your columns alone, on rows held out"),
        (
            Row("AUC", f"{report.alone_auc:.4f}"),
            Row("KS", f"{report.alone_ks:.4f}"),
            Row("", lift_chart(report), Form.DRAWING),
            *(
                Row(
                    say("band {number}", number=number),
                    say(
                        "{rows:,} rows, {events:,} with the event, lift {lift:.2f}",
                        rows=band.rows,
                        events=band.events,
                        lift=band.lift,
                    ),
                )
                for number, band in enumerate(report.bands, 1)
            ),
        ),
    )
    yield Section(
        say("Weights of your columns"),
        (
            Row(
                say("of what"),
                say("Of each column less its mean, divided by its standard deviation."),
            ),
            *(
                Row(
                    each.name,
                    say(
                        "{joint:+.4f} jointly, {alone:+.4f} alone; mean {mean:.6g}, deviation"
                        " {scale:.6g}",
                        joint=each.joint,
                        alone=each.alone,
                        mean=each.mean,
                        scale=each.scale,
                    ),
                )
                for each in report.weights
            ),
            Row(say("intercept"), f"{report.intercept:+.4f}"),
            Row("", weights_chart(report), Form.DRAWING),
        ),
    )
    yield Section(
        say("What stood out"),
        tuple(Row(note.kind, note_words(note)) for note in report.notes)
        or (Row(say("nothing"), ""),),
    )
    yield _card(report)


def _of_held(held: Held) -> Iterator[Section]:
    """Tell how the joint model ranks the rows held out."""
    if held.auc is not None and held.ks is not None and held.margin is not None:
        told = (
            Row("AUC", f"{held.auc:.3f} ± {held.margin:.3f}"),
            Row("KS", f"{held.ks:.3f}"),
        )
    else:
        told = (Row("AUC", say("hidden by the noise")),)
    rows = say("{rows:,}, {events:,} with the event", rows=held.rows, events=held.events)
    yield Section(say("The joint model, on rows held out"), (Row(say("rows"), rows), *told))
    yield bands_section(held.bands, held.epsilon, measured_noise(held.epsilon))


def _card(report: TrainingReport) -> Section:
    """Make the model card: what it is, from what, for what, and what it is not."""
    return Section(
        say("Model card"),
        (
            Row(
                say("kind"),
                say(
                    "Logistic regression over both sides' columns, by exact encrypted inner"
                    " products (vertical-logistic-1), rank {rank}, inverse ridge {ridge}.",
                    rank=report.rank,
                    ridge=report.inverse_ridge,
                ),
            ),
            Row(
                say("trained on"),
                say(
                    "{rows:,} common subjects, {events:,} with the event; {own} columns of"
                    " {institution}, {theirs} of {owner}.",
                    rows=report.rows,
                    events=report.events,
                    own=len(report.weights),
                    institution=report.institution,
                    theirs=report.room_columns,
                    owner=report.owner,
                ),
            ),
            Row(
                say("rounds"),
                say("{rounds}, converged", rounds=report.rounds)
                if report.converged
                else say("{rounds}, not converged", rounds=report.rounds),
            ),
            Row(say("purpose"), report.purpose),
            Row(say("for"), "\n".join(map(say, USES))),
            Row(
                say("limits"),
                "\n".join(map(say, (_UNMEASURED if report.held is None else _MEASURED, *LIMITS))),
            ),
            Row(say("when"), moment(report.time)),
            Row(say("job"), report.job, Form.CODE),
            Row(say("the owner's half"), report.model, Form.CODE),
        ),
    )
