"""Act 7 of the demo: a modeller trains with an owner what neither may see whole."""

from __future__ import annotations

from typing import Final

from saferoom_client.demo.data import Borrower, Records
from saferoom_client.demo.scoring import score
from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import APPROVERS, THRESHOLD, Stage
from saferoom_client.drafts import read_feature, read_template
from saferoom_client.jobs import JobEnd, JobRows
from saferoom_client.tongue import say
from saferoom_client.training.page import write_page
from saferoom_client.training.report import TrainingReport
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Purpose

OWNER: Final = "repay"
FEATURE: Final = "late_now"
TEMPLATE: Final = "default-risk"


def train(stage: Stage, screen: Screen, records: Records, applicant: Borrower) -> None:
    """Propose a training, have it approved, take part in it, show it, and score an applicant."""
    screen.act(say("A modeller trains with an owner what neither may see whole"))
    customers = stage.file("customers.csv")
    customers.write_bytes(records.customers)
    _propose_and_approve(stage, screen)
    with stage.open("bank-a", "desk") as bank:
        rows = JobRows(customers, label="default")
        folder = bank.submit_job(TEMPLATE, rows, purpose=Purpose.PRODUCT_DESIGN)
        end = bank.take_part(folder.job)
    report = _show(stage, screen, end)
    score(stage, screen, report, applicant)


def _propose_and_approve(stage: Stage, screen: Screen) -> None:
    with stage.open(OWNER, APPROVERS[0]) as room:
        room.add_feature(read_feature(stage.file(f"{OWNER}.{FEATURE}.yaml"), room.profile))
    with stage.open("bank-a", "desk") as bank:
        template = read_template(stage.file(f"{TEMPLATE}.yaml"), bank.profile)
        digest = bank.propose_template(template).recorded.statement.digest
    stage.approve(OWNER, digest)
    screen.done(
        say(
            "{name}: the bank brings its customers' limits and defaults, {owner} two columns of"
            " delays; approved by {threshold} of {approvers}",
            name=TEMPLATE,
            owner=OWNER,
            threshold=THRESHOLD,
            approvers=len(APPROVERS),
        )
    )


def _show(stage: Stage, screen: Screen, end: JobEnd) -> TrainingReport:
    report = end.report
    if report is None:
        raise SafeRoomError(Reason.INTERNAL, f"the training ended as {end.release.outcome}")
    screen.done(
        say(
            "{rows:,} common customers found, and trained on in {rounds} rounds; no row left its"
            " side",
            rows=report.rows,
            rounds=report.rounds,
        )
    )
    screen.done(
        say(
            "mean foretold risk of those who defaulted, less that of the others: {joint:.3f} with"
            " {owner}'s columns, {alone:.3f} without",
            joint=report.separation,
            owner=OWNER,
            alone=report.alone_separation,
        )
    )
    path = stage.folder / "report.html"
    path.write_bytes(write_page(report))
    screen.done(
        say(
            "{path}: charts, the bank's own weights, a model card; the owner's weights stay in its"
            " enclave",
            path=path.relative_to(stage.folder),
        )
    )
    return report
