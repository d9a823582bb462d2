"""The end of act 7: the bank scores an applicant with the model, once the applicant consents."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from saferoom_client.demo.consenting import grant
from saferoom_client.demo.data import Borrower
from saferoom_client.demo.play import require_refusal
from saferoom_client.demo.screen import Screen
from saferoom_client.demo.stage import Stage
from saferoom_client.drafts import read_template
from saferoom_client.profile import Profile
from saferoom_client.score_drafts import draft_score
from saferoom_client.scores import ScoreAnswer
from saferoom_client.tongue import say
from saferoom_client.training.report import TrainingReport
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.answer import Band
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import verify_receipt
from saferoom_proto.statements import Purpose

TEMPLATE: Final = "default-score"
EDGES: Final = tuple(map(Decimal, ("-0.25", "0", "0.5", "1")))
"""Of the owner's part of the log-odds, which averages to nothing over the rows of training."""


def score(stage: Stage, screen: Screen, report: TrainingReport, applicant: Borrower) -> None:
    """Propose scores by a trained model, have them approved, and ask for an applicant's."""
    _propose_and_approve(stage, screen, report)
    require_refusal(
        screen,
        say("the score of an applicant who gave no consent"),
        Reason.NO_CONSENT,
        lambda: _ask(stage, applicant),
    )
    grant(stage, applicant.uscc, ("repay.late_now", "repay.worst_delay"))
    answer = _ask(stage, applicant)
    verified = verify_receipt(answer.receipt, Profile.load(stage.member("auditor", "desk")).trust)
    if answer.band is None or verified.answer != Band(answer.band):
        raise SafeRoomError(Reason.INTERNAL, "a score without a band, or another in its receipt")
    screen.done(
        say(
            "with its consent: {owner}'s part is in band {band} of {bands}, {stands} of the"
            " log-odds; the bank's own part is {own:+.2f}; together {points:.0f} points",
            owner=report.owner,
            band=answer.band,
            bands=answer.bands,
            stands=answer.stands_for,
            own=answer.own,
            points=answer.points(),
        )
    )
    screen.done(say("the receipt verifies offline: it shows the band, and no part of the bank's"))


def _propose_and_approve(stage: Stage, screen: Screen, report: TrainingReport) -> None:
    with stage.open("bank-a", "desk") as bank:
        training = bank.get_template(report.template)
        draft = draft_score(training, report, name=TEMPLATE, purpose=Purpose.PRE_LOAN, edges=EDGES)
        path = stage.folder / f"{TEMPLATE}.yaml"
        path.write_text(write_yaml(draft), "utf-8")
        proposal = bank.propose_template(read_template(path, bank.profile))
    stage.approve(report.owner, proposal.recorded.statement.digest)
    screen.done(
        say(
            "{name}: {owner} approves that the bank is told in which of {bands} bands the model"
            " puts an applicant",
            name=TEMPLATE,
            owner=report.owner,
            bands=len(EDGES) + 1,
        )
    )


def _ask(stage: Stage, applicant: Borrower) -> ScoreAnswer:
    with stage.open("bank-a", "desk") as bank:
        return bank.score(
            TEMPLATE,
            subject=applicant.uscc,
            purpose=Purpose.PRE_LOAN,
            own={"limit_bal": applicant.limit},
        )
