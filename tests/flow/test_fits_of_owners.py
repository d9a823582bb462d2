"""A training in the room over two owners' columns, through a real room: asked by a bank."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saferoom_client.cli import app
from saferoom_client.drafts import read_template
from saferoom_client.fits.asking import FitAnswer
from saferoom_client.refused import Refused
from saferoom_client.score_drafts import draft_score
from saferoom_client.trained import trained_model
from saferoom_client.training.states import JobState
from saferoom_client.yaml_text import write_yaml
from saferoom_proto.fit_receipt import FitReceipt, GiverPart, verify_fit_receipt
from saferoom_proto.reasons import Reason, SafeRoomError
from tests.flow.live import LiveRoom
from tests.flow.offers import COURT, POOR, STEADY, VAT
from tests.flow.test_jobs_survive import FIRMS
from tests.flow.trainings import OF_TWO, fit_of, have_approved, hold

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRoom]:
    """Give a room of two owners with firms enough, of whom the tax office knows who was late."""
    folder = tmp_path_factory.mktemp("fits")
    live = LiveRoom(folder)
    try:
        live.start()
        live.define()
        hold(live, FIRMS)
        propose(live, "arrears-2")
        yield live
    finally:
        live.processes.stop()


def propose(live: LiveRoom, name: str, **changes: object) -> None:
    """Have a bank propose a training, and both owners approve it."""
    have_approved(live, name, fit_of(OF_TWO | changes))


def audited(room: LiveRoom) -> dict[str, object]:
    with room.open("auditor", "desk") as auditor:
        folder = str(auditor.profile.folder)
    return json.loads(CliRunner().invoke(app, ["audit", "verify", "-p", folder, "--json"]).output)


def train(room: LiveRoom) -> FitAnswer:
    with room.open("bank-a", "desk") as bank:
        return bank.train_in_room("arrears-2", purpose="product-design")


def test_a_bank_has_two_owners_train_together(room: LiveRoom) -> None:
    answer = train(room)
    verified = answer.verified
    assert verified.card is not None
    assert (verified.card.owner, verified.card.givers) == ("tax", ("court",))
    assert verified.card.rows == FIRMS - 100
    (court,) = verified.givers
    assert (court.owner, court.run, court.columns) == ("court", 1, 1)
    # Bands are told, and each owner's enclave charged them by itself.
    assert verified.card.bands is not None
    assert verified.release.privacy is not None
    assert verified.release.privacy.charged == 1
    assert court.privacy == verified.release.privacy
    # Offline, by the file alone.
    receipt = FitReceipt.from_json(answer.receipt.read_bytes())
    with room.open("bank-a", "desk") as bank:
        trust = bank.profile.trust
        (listed,) = [each for each in bank.list_jobs() if each.job == answer.job]
    assert verify_fit_receipt(receipt, trust).card == verified.card
    assert (listed.owner, listed.state) == ("tax", JobState.RELEASED)
    # Either owner sees that its enclave took part, and how that ended.
    for owner in room.owners:
        with room.open(owner, "li") as office:
            (seen,) = [each for each in office.list_jobs() if each.job == answer.job]
            assert (seen.owner, seen.state) == (owner, JobState.RELEASED)
            usage = office.get_usage()
        kinds = [use.begins for use in usage.uses if use.request_id == answer.job]
        assert kinds == ([False] if owner == "tax" else [False, True])
        charged = {each.institution: total.epsilon for each, total in usage.totals.items()}
        assert charged == {"bank-a": 1}
        assert sum(total.asked for total in usage.totals.values()) == 1
    told = audited(room)
    assert (told["violations"], told["unjudged"]) == ([], 0)


def test_its_parts_are_scored_with(room: LiveRoom, tmp_path: Path) -> None:
    answer = train(room)
    with room.open("bank-a", "desk") as bank:
        view = bank.get_template(answer.verified.request.template)
        model = trained_model(bank.profile, answer.job)
        draft = draft_score(view, model, name="late-2", purpose="pre-loan", edges=(Decimal(0),))
        (path := tmp_path / "late-2.yaml").write_text(write_yaml(draft), "utf-8")
        proposal = bank.propose_template(read_template(path, bank.profile))
    room.approve(proposal.recorded.statement.digest)
    with room.open("bank-a", "desk") as bank:
        with pytest.raises(Refused) as refused:
            bank.score("late-2", subject=STEADY, purpose="pre-loan")
        assert refused.value.reason is Reason.NO_CONSENT
        for firm in (STEADY, POOR):
            room.consent(firm, "bank-a")
        scored = bank.score("late-2", subject=STEADY, purpose="pre-loan")
    assert scored.bands == 3
    assert {each.feature for each in scored.charges} == {COURT, VAT}


def forged(receipt: FitReceipt, room: LiveRoom) -> Reason | None:
    """Verify a receipt, and give why it is none."""
    with room.open("bank-a", "desk") as bank:
        trust = bank.profile.trust
    try:
        verify_fit_receipt(receipt, trust)
    except SafeRoomError as refused:
        return refused.reason
    return None


def test_a_receipt_without_a_giver_s_own_word_is_none(room: LiveRoom) -> None:
    first, second = (FitReceipt.from_json(train(room).receipt.read_bytes()) for _ in range(2))
    (own,), (other,) = first.givers, second.givers
    assert forged(first, room) is None

    def given(*givers: GiverPart) -> Reason | None:
        return forged(first.model_copy(update={"givers": givers}), room)

    def with_(**changes: object) -> Reason | None:
        return given(own.model_copy(update=changes))

    assert given() is Reason.UNKNOWN_FEATURE, "the certificate is not derived without its part"
    assert given(own, own) is Reason.CERTIFICATE_MISMATCH
    assert given(other) is Reason.BAD_PROOF, "it let another training begin"
    assert with_(approvals=own.approvals[:1]) is Reason.NOT_APPROVED
    assert with_(proof=other.proof) is Reason.BAD_PROOF
    assert with_(salt=other.salt) is Reason.BAD_PROOF
    host = {each: getattr(first, each) for each in ("charters", "endorsement", "release")}
    assert with_(**host) is not None, "the host's word in the giver's place"
    assert with_(owner="tax") is Reason.CERTIFICATE_MISMATCH
    assert first.card is not None
    card = first.card.replace('"givers":["court"]', '"givers":[]')
    assert forged(first.model_copy(update={"card": card}), room) is Reason.BAD_PROOF


def test_a_giver_that_refuses_is_named_and_nothing_is_trained(room: LiveRoom) -> None:
    propose(room, "once", runs={"most": 1, "days": 30})
    with room.open("bank-a", "desk") as bank:
        bank.train_in_room("once", purpose="product-design")
        with pytest.raises(Refused) as refused:
            bank.train_in_room("once", purpose="product-design")
    assert (refused.value.reason, refused.value.owner) == (Reason.OVER_BUDGET, "court")
    told = audited(room)
    assert (told["violations"], told["unjudged"]) == ([], 0)


def test_the_shell_tells_every_owner(room: LiveRoom) -> None:
    folder = str(room.member("bank-a", "desk"))

    def typed(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "-p", folder])
        assert result.exit_code == 0, result.output
        return result.output

    shown = typed("template", "show", "arrears-2")
    assert "these columns leave court's enclave" in shown
    assert "of which subjects tax knows the label" in shown
    told = typed("job", "submit", "arrears-2", "--purpose", "product-design")
    assert "the columns of court, whose enclave let it begin: run" in told
    assert COURT in told
    (job,) = [line.split()[-1] for line in told.splitlines() if line.strip().startswith("id ")]
    document = json.loads(typed("job", "show", job, "--json"))
    assert [each["owner"] for each in document["givers"]] == ["court"]


def test_no_price_is_told_and_where_its_epsilon_stands_is(room: LiveRoom) -> None:
    with room.open("bank-a", "desk") as bank, pytest.raises(SafeRoomError) as refused:
        bank.price_fit("arrears-2", purpose="product-design")
    assert refused.value.reason is Reason.NOT_ALLOWED
    assert refused.value.fields[0].rule.startswith("no price is asked of several owners")
    assert refused.value.__notes__ == [bank.profile.typed("template show arrears-2")]
