"""Scores through the SDK: a band that verifies, the own half beside it, and points of both."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from saferoom_client.aio import AsyncRoom
from saferoom_client.cli.output import notes_of
from saferoom_client.issuer import Issuer
from saferoom_client.question import Question
from saferoom_client.score_drafts import (
    default_edges,
    describe_points,
    draft_score,
    edges_of,
    middles,
)
from saferoom_client.scores import Scale, ScoreAnswer, own_part
from saferoom_client.sheet.facts import read_sheet
from saferoom_client.sheet.words import Language
from saferoom_client.standalone import verify_receipt as second
from saferoom_client.training.report import TrainingReport, Weight
from saferoom_client.values import TemplateView
from saferoom_models.vertical.points import kept, log_odds
from saferoom_proto.answer import Answer, Band, Truth
from saferoom_proto.dsse import Envelope
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.statements import CheckRequest, Score, load, seal_statement
from saferoom_proto.wire import Part
from tests.client.fakeroom import Said, serving
from tests.client.made import Case, make_profile, make_score_case
from tests.client.mutants import mutants
from tests.proto.golden_jobs import certificate_of_two, training_of_two

MODEL = "sha256:" + "6" * 64
ASKED = Score(
    model=MODEL,
    training="sha256:" + "7" * 64,
    features=("tax.vat_paid",),
    edges=(Decimal(0), Decimal(1)),
    stands_for=(Decimal("-0.5"), Decimal("0.5"), Decimal("1.5")),
)
OWN = {"limit": 120.0, "years": 3.0, "flat": 7.0}


@pytest.fixture
def said() -> Said:
    """Give what the server says: at first, that the subject is in the second band."""
    said = Said(make_score_case(ASKED))
    tell(said, Band(2))
    return said


@pytest.fixture
async def room(said: Said, issuer: Issuer, tmp_path: Path) -> AsyncIterator[AsyncRoom]:
    """Give the bank's room."""
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", said.case, issuer, card)
        async with AsyncRoom(profile, clock=said.case.world.now) as opened:
            yield opened


def tell(said: Said, told: Band | Answer) -> None:
    """Have the enclave answer something."""
    reply = said.case.world.bank("bank-a").reply

    def parts(envelope: Envelope) -> list[Part]:
        question = Question(envelope, load(envelope, CheckRequest), reply)
        return [said.case.answer(question, "tax", told)]

    said.parts = parts


async def asked(room: AsyncRoom, said: Said, **own: float) -> ScoreAnswer:
    return await room.score(
        "steady", subject=said.case.world.subject(1).uscc, purpose="pre-loan", own=own or None
    )


def report() -> TrainingReport:
    """Give a report with weights of two columns, and of one that was left out."""
    weights = (("limit", 0.7, 250.0, 140.0), ("years", -0.4, 10.0, 5.8), ("flat", 0.0, 7.0, 0.0))
    return TrainingReport.model_construct(
        model=MODEL,
        intercept=-1.25,
        weights=tuple(
            Weight(name=name, joint=joint, alone=joint, mean=mean, scale=scale)
            for name, joint, mean, scale in weights
        ),
    )


async def test_a_score_brings_its_band_and_what_that_stands_for(
    room: AsyncRoom, said: Said
) -> None:
    answer = await asked(room, said)
    assert (answer.band, answer.bands, answer.stands_for) == (2, 3, Decimal("0.5"))
    assert (answer.own, answer.log_odds, answer.points()) == (None, None, None)
    tell(said, Answer(Truth.NOT_FOUND, bytes(32), scored=True))
    assert (await asked(room, said)).band is None


async def test_its_receipt_verifies_offline_in_every_way(room: AsyncRoom, said: Said) -> None:
    receipt, trust = (await asked(room, said)).receipt, said.case.world.trust()
    assert verify_receipt(receipt, trust).answer == Band(2)
    theirs = second.verify(receipt.to_json(), trust.model_dump_json().encode())
    assert theirs["answer"] == "band 2"
    for language, words in ((Language.EN, "Band 2"), (Language.ZH, "第 2 档")):
        sheet = read_sheet(receipt, trust, language)
        assert sheet.answer == words
        assert MODEL in str(sheet.sections)


def test_both_verifiers_say_the_same_of_an_altered_receipt() -> None:
    case = make_score_case(ASKED)
    question = case.question()
    receipt = case.receipt(question, {"tax": case.answer(question, "tax", Band(3))})
    trust = case.world.trust()
    pinned = trust.model_dump_json().encode()
    differing: list[str] = []
    for where, altered in list(mutants(json.loads(receipt.to_json())))[::23]:
        refused = [_refuses(_written(altered), trust, pinned, which) for which in (0, 1)]
        if refused[0] != refused[1]:
            differing.append(where)
    assert not differing


def _refuses(data: bytes, trust: object, pinned: bytes, which: int) -> bool:
    try:
        if which:
            second.verify(data, pinned)
        else:
            verify_receipt(Receipt.from_json(data), trust)  # pyright: ignore[reportArgumentType] - as the case gives it
    except (SafeRoomError, second.Wrong):
        return True
    return False


@pytest.mark.parametrize(
    "told",
    [Band(4), Answer(Truth.YES, bytes(32)), Answer(Truth.NOT_FOUND, bytes(32))],
)
async def test_no_answer_is_taken_that_the_template_does_not_have(
    room: AsyncRoom, said: Said, told: Band | Answer
) -> None:
    tell(said, told)
    with pytest.raises(SafeRoomError) as refused:
        await asked(room, said)
    assert refused.value.reason is Reason.BAD_PROOF
    question = said.case.question()
    receipt = said.case.receipt(question, {"tax": said.case.answer(question, "tax", told)})
    pinned = said.case.world.trust().model_dump_json().encode()
    with pytest.raises(second.Wrong) as wrong:
        second.verify(receipt.to_json(), pinned)
    assert str(wrong.value).startswith("answer: ")


async def test_a_check_is_no_score_and_a_score_no_check(room: AsyncRoom, said: Said) -> None:
    subject = said.case.world.subject(1).uscc
    with pytest.raises(SafeRoomError) as refused:
        await room.check("steady", subject=subject, purpose="pre-loan")
    assert refused.value.reason is Reason.NOT_ALLOWED
    assert notes_of(refused.value) == ["saferoom score ask steady"]


def test_the_own_part_is_what_training_reckons_to_the_last_bit() -> None:
    told = report()
    values = np.array([[OWN[weight.name] for weight in told.weights]])
    scales = np.array([weight.scale or np.inf for weight in told.weights])
    means = np.array([weight.mean for weight in told.weights])
    joint = np.array([weight.joint for weight in told.weights])
    whole = log_odds(kept(values, means, scales), joint)
    assert own_part(told, OWN) == whole[0] + told.intercept
    assert own_part(told, OWN | {"limit": 1e12}) == own_part(told, OWN | {"limit": 1e9})


@pytest.mark.parametrize(
    ("own", "place"),
    [
        ({"limit": 1.0, "years": 2.0}, "own.flat"),
        (OWN | {"more": 1.0}, "own.more"),
        (OWN | {"years": float("nan")}, "own.years"),
    ],
)
def test_an_own_value_that_is_none_is_named(own: dict[str, float], place: str) -> None:
    with pytest.raises(SafeRoomError) as refused:
        own_part(report(), own)
    assert refused.value.reason is Reason.OFF_DOMAIN
    assert refused.value.fields[0].field == place


async def test_without_the_models_job_nothing_is_asked_with_own_values(
    room: AsyncRoom, said: Said
) -> None:
    said.calls.clear()
    with pytest.raises(SafeRoomError) as refused:
        await asked(room, said, **OWN)
    assert refused.value.reason is Reason.UNKNOWN_STATEMENT
    assert "Check" not in said.calls


def test_points_fall_with_risk_and_double_odds_are_so_many_points() -> None:
    scale = Scale(points=600, odds=50, double=20)
    assert scale.of(-np.log(50)) == pytest.approx(600)
    assert scale.of(-np.log(100)) == pytest.approx(620)
    with pytest.raises(SafeRoomError) as refused:
        Scale(odds=0)
    assert [fault.field for fault in refused.value.fields] == ["scale"]


def test_a_draft_asks_for_reasons_only_where_they_are_wanted() -> None:
    said = make_score_case(ASKED)
    assert "reasons" not in said.template.payload.decode()
    assert (
        '"reasons":1'
        in make_score_case(ASKED.model_copy(update={"reasons": 1})).template.payload.decode()
    )


@pytest.mark.parametrize(
    "edges",
    [
        (),
        (Decimal(0),),
        (Decimal("-0.8"), Decimal("0.8")),
        edges_of((10, 20, 30), Scale(double=20)),  # a third of them rounds otherwise
    ],
)
def test_of_a_model_that_lies_with_several_owners_the_sum_is_drafted(
    edges: tuple[Decimal, ...],
) -> None:
    training, certificate = training_of_two(), certificate_of_two()
    key = SigningKey.generate()
    view = TemplateView(
        template=training,
        envelope=seal_statement(training, key),
        certificate=certificate,
        features={},
        statements={},
        charters={},
        approvals=(),
        certificates=(certificate.digest,),
    )
    job = "sha256:" + "8" * 64
    report = TrainingReport.model_construct(model=MODEL, job=job)
    with pytest.raises(SafeRoomError) as refused:
        draft_score(view, report, name="of-two", purpose="pre-loan", edges=[Decimal(0)] * 4)
    assert refused.value.fields[0].rule == "the sum of 2 owners' bands has at most 3 edges"
    draft = draft_score(view, report, name="of-two", purpose="pre-loan", edges=edges)
    asked = Score.model_validate_json(json.dumps(draft["score"]))
    assert (asked.model, asked.job, asked.owners) == (MODEL, job, ("court", "tax"))
    assert len(asked.stands_for) == 2 * len(asked.edges) + 1
    assert len(edges) > 2 or sum(asked.stands_for) == 0


async def test_a_score_names_its_reasons_and_so_does_its_receipt(
    issuer: Issuer, tmp_path: Path
) -> None:
    said = Said(make_score_case(ASKED.model_copy(update={"reasons": 1})))
    trust = said.case.world.trust()
    tell(said, Answer(Band(2, 1), bytes(32), scored=True, reasoned=True))
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", said.case, issuer, card)
        async with AsyncRoom(profile, clock=said.case.world.now) as room:
            answer = await asked(room, said)
            tell(said, Band(2))
            with pytest.raises(SafeRoomError) as refused:
                await asked(room, said)
            tell(said, Answer(Band(2, 2), bytes(32), scored=True, reasoned=True))
            with pytest.raises(SafeRoomError) as of_none:
                await asked(room, said)
    assert (answer.band, answer.reasons) == (2, ("tax.vat_paid",))
    assert refused.value.reason is of_none.value.reason is Reason.BAD_PROOF
    assert verify_receipt(answer.receipt, trust).answer == Band(2, 1)
    pinned = trust.model_dump_json().encode()
    theirs = second.verify(answer.receipt.to_json(), pinned)
    assert (theirs["answer"], theirs["tax said"]) == (
        "band 2",
        "band 2, raised most by tax.vat_paid",
    )
    for language, words in ((Language.EN, "raised most by"), (Language.ZH, "升高的指标")):
        assert words in read_sheet(answer.receipt, trust, language).answer
    differing = [
        where
        for where, altered in list(mutants(json.loads(answer.receipt.to_json())))[::37]
        if len({_refuses(_written(altered), trust, pinned, which) for which in (0, 1)}) > 1
    ]
    assert not differing


@pytest.mark.parametrize("owners", range(1, 8))
def test_the_usual_edges_of_so_many_owners_make_a_score(owners: int) -> None:
    edges = default_edges(owners)
    features = tuple(f"{owner}.paid" for owner in "abcdefg"[:owners])
    changes: dict[str, object] = {"features": features, "edges": edges}
    changes |= {"stands_for": middles(edges, owners)}
    changes |= {"job": MODEL} if owners > 1 else {}
    asked = Score.model_validate(ASKED.model_dump() | changes)
    assert asked.stands_for[0] < 0 < asked.stands_for[-1]


def summed_case() -> Case:
    """Make a room in which two owners score together."""
    changes = {
        "job": "sha256:" + "8" * 64,
        "features": ("court.dishonest", "tax.vat_paid"),
        "edges": (Decimal(0), Decimal(1)),
        "stands_for": tuple(map(Decimal, range(-2, 3))),
    }
    return make_score_case(Score.model_validate(ASKED.model_dump() | changes))


@pytest.mark.parametrize("owner", ["tax", "court"])
async def test_a_score_of_two_owners_is_the_band_that_their_shares_add_up_to(
    issuer: Issuer, tmp_path: Path, owner: str
) -> None:
    said = Said(summed_case())
    reply, mask = said.case.world.bank("bank-a").reply, 10**30
    told = {"court": Share(mask + 1), "tax": Share(MODULUS - mask + 2)}

    def parts(envelope: Envelope) -> list[Part]:
        question = Question(envelope, load(envelope, CheckRequest), reply)
        return [said.case.answer(question, each, share) for each, share in told.items()]

    said.parts = parts
    async with serving(said, issuer) as card:
        profile = make_profile(tmp_path / "bank", said.case, issuer, card)
        async with AsyncRoom(profile, clock=said.case.world.now) as room:
            answer = await asked(room, said)
            told[owner] = Share(told[owner].value + 2)
            with pytest.raises(SafeRoomError) as refused:
                await asked(room, said)
            told[owner] = Band(1)  # pyright: ignore[reportArgumentType] - what no enclave gives
            with pytest.raises(SafeRoomError) as not_shared:
                await asked(room, said)
    assert (answer.band, answer.bands, answer.stands_for) == (4, 5, Decimal(1))
    assert refused.value.reason is not_shared.value.reason is Reason.BAD_PROOF
    receipt, trust = answer.receipt, said.case.world.trust()
    assert verify_receipt(receipt, trust).answer == Band(4)
    theirs = second.verify(receipt.to_json(), trust.model_dump_json().encode())
    assert (theirs["answer"], theirs["tax said"]) == ("band 4", "a share of the answer")
    assert read_sheet(receipt, trust, Language.EN).answer == "Band 4"


def test_both_verifiers_say_the_same_of_an_altered_receipt_of_two_owners() -> None:
    case = summed_case()
    question = case.question()
    told = {"court": Share(1), "tax": Share(2)}
    parts = {owner: case.answer(question, owner, share) for owner, share in told.items()}
    receipt, trust = case.receipt(question, parts), case.world.trust()
    pinned = trust.model_dump_json().encode()
    assert second.verify(receipt.to_json(), pinned)["answer"] == "band 4"
    differing = [
        where
        for where, altered in list(mutants(json.loads(receipt.to_json())))[::37]
        if len({_refuses(_written(altered), trust, pinned, which) for which in (0, 1)}) > 1
    ]
    assert not differing


def _written(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def test_what_bands_stand_for_in_a_draft_lies_within_them() -> None:
    edges = tuple(map(Decimal, ("-1", "0", "2")))
    stands_for = middles(edges)
    assert stands_for == tuple(map(Decimal, ("-1.5", "-0.5", "1", "3")))
    changes = {"edges": edges, "stands_for": stands_for}
    assert Score.model_validate(ASKED.model_dump() | changes).edges == edges


def test_edges_are_told_in_points_and_asked_for_in_points() -> None:
    scale = Scale(double=20)
    edges = edges_of((-20, 20, 0), scale)
    assert [str(edge) for edge in edges] == ["-0.693", "0.000", "0.693"]
    score = {"edges": list(map(str, edges)), "stands_for": list(map(str, middles(edges)))}
    told = list(describe_points({"score": score}, scale))
    assert all(line.startswith("# ") for line in told), "a draft is YAML, and is proposed as it is"
    assert "+20.0, +0.0, -20.0" in told[1]
    assert "+30.0, +10.0, -10.0, -30.0" in told[2]
    # A part adds points to those of the rest: together they are the points of the sum.
    assert scale.of(0.4) + scale.of_part(0.3) == pytest.approx(scale.of(0.7))


@pytest.mark.parametrize("points", [math.nan, math.inf])
def test_edges_of_no_number_of_points_are_refused(points: float) -> None:
    with pytest.raises(SafeRoomError) as caught:
        edges_of((points,), Scale())
    assert caught.value.reason is Reason.MALFORMED
