"""What a bank is advised after a refusal: to try the same again, to ask anew, or to leave it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from saferoom_client.advice import ADVICE, Again, advice
from saferoom_client.checks import UNJUDGED
from saferoom_client.cli.next_steps import Asked, saying_next
from saferoom_client.cli.output import notes_of
from saferoom_client.cli.stats import STEPS
from saferoom_client.refused import Refused
from saferoom_enclaves.judge import PASSING
from saferoom_proto.reasons import Reason, SafeRoomError

VERDICTS = (
    *(Reason.NO_CONSENT, Reason.OVER_BUDGET, Reason.PAUSED, Reason.OFF_GRID, Reason.EXPIRED),
    *(Reason.NOT_APPROVED, Reason.CONSENT_USED_UP, Reason.NONCE_REUSED, Reason.WITHHELD),
)


@pytest.mark.parametrize("reason", VERDICTS)
def test_a_verdict_is_final_so_the_same_question_is_never_to_be_sent_again(reason: Reason) -> None:
    assert advice(reason).again is not Again.SAME


@pytest.mark.parametrize("reason", sorted(PASSING - {Reason.STORE_DAMAGED}))
def test_a_state_passes_so_the_same_question_may_be_sent_again(reason: Reason) -> None:
    assert advice(reason).again is Again.SAME


def test_whatever_no_enclave_judged_has_advice_of_its_own() -> None:
    assert ADVICE.keys() >= UNJUDGED


def test_a_reason_that_no_check_meets_is_left_to_people() -> None:
    assert advice(Reason.MALFORMED_SQL).again is Again.NEVER
    assert Refused(SafeRoomError(Reason.LOCKED), {}).again is Again.SAME


ASKED = Asked(Path("my bank"), "paid-enough", "91990000000001011G", "pre-loan", {"least": "1 000"})


def steps(reason: Reason, asked: Asked = ASKED) -> list[str]:
    with pytest.raises(Refused) as refused, saying_next(asked):
        raise Refused(SafeRoomError(reason), {})
    return notes_of(refused.value)


@pytest.mark.parametrize("reason", STEPS)
def test_of_tables_nothing_is_advised_that_is_of_one_subjects_check(reason: Reason) -> None:
    (step,) = steps(reason, Asked(Path("desk"), "by-size", purpose="product-design", steps=STEPS))
    assert step == STEPS[reason] != advice(reason).step


def test_the_next_step_can_be_typed_as_it_stands() -> None:
    assert steps(Reason.OVER_BUDGET)[1] == (
        "saferoom cost paid-enough --subject 91990000000001011G --purpose pre-loan"
        " --param 'least=1 000' -p 'my bank'"
    )
    assert steps(Reason.DEADLINE, replace(ASKED, kept=Path("q.json")))[1] == (
        "saferoom check --again q.json -p 'my bank'"
    )
    assert steps(Reason.OFF_GRID)[1] == "saferoom template show paid-enough -p 'my bank'"
    assert steps(Reason.NO_AGREEMENT)[1] == "saferoom agreement list -p 'my bank'"
    assert len(steps(Reason.OVER_BUDGET, Asked(Path("my bank")))) == 1
    assert len(steps(Reason.PAUSED)) == 1
