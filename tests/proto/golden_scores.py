"""Frozen examples of what is signed about scores, and of what answers them."""

from __future__ import annotations

from decimal import Decimal

from saferoom_proto.answer import MOST_BANDS, Answer, Band, Truth
from saferoom_proto.batch import BANDED, REASONED
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.encoding import b64
from saferoom_proto.pinned import pin
from saferoom_proto.statements import (
    Askers,
    Feature,
    Payload,
    Purpose,
    Score,
    Template,
    seal_statement,
)
from tests.proto.golden_owners import definitions
from tests.proto.golden_seeds import CERTIFICATE, ROOM, TITLE, digest, key


def score(**changes: object) -> Score:
    """Say what is scored; fields can be changed by name."""
    fields: dict[str, object] = {
        "model": digest("model"),
        "training": digest("template of a training"),
        "features": ("tax.vat", "tax.rating"),
        "edges": (Decimal("-0.5"), Decimal(0), Decimal("0.75")),
        "stands_for": (Decimal("-0.9"), Decimal("-0.25"), Decimal("0.3"), Decimal("1.1")),
    }
    return Score.model_validate(fields | changes)


def scores(**changes: object) -> Template:
    """Give a template of scores; what is scored can be changed by name."""
    return Template(
        room=ROOM,
        kind="Score",
        name="default-score",
        title=TITLE,
        proposer="bank-a",
        signer=b64(CERTIFICATE),
        purposes=(Purpose.PRE_LOAN,),
        score=score(**changes),
    )


def score_certificate(template: Template) -> ReleaseCertificate:
    """Derive the certificate of a template of scores; of several owners it pins their charters."""
    charters = {owner: digest(f"charter of {owner}") for owner in ("court", "tax")}
    features = pin(
        seal_statement(each, key("li"))
        for each in definitions().values()
        if isinstance(each, Feature)
    )
    return derive_certificate(seal_statement(template, key("desk")), features, charters)


def score_of_two(**changes: object) -> Score:
    """Say what is scored of two owners' parts; fields can be changed by name."""
    fields: dict[str, object] = {
        "job": digest("job"),
        "features": ("court.listed", "tax.vat", "tax.rating"),
        "edges": (Decimal("-0.5"), Decimal("0.5")),
        "stands_for": tuple(map(Decimal, ("-2", "-1", "0", "1", "2"))),
    }
    return score(**(fields | changes))


def scores_of_two() -> Template:
    """Give a template of scores of two owners."""
    return scores().model_copy(update={"name": "score-of-two", "score": score_of_two()})


def scores_with_reasons() -> Template:
    """Give a template of scores that tell reasons."""
    changes = {"edges": (Decimal(0),), "stands_for": (Decimal("-0.5"), Decimal("0.5"))}
    return scores(reasons=1, **changes)


def scores_statements() -> dict[str, Payload]:
    """Give one example of each form."""
    for_all = scores(askers=Askers.ALL)
    return {
        "template of scores": scores(),
        "template of scores for all": for_all,
        "release-certificate of scores": score_certificate(scores()),
        "release-certificate of scores for all": score_certificate(for_all),
        "template of scores with reasons": scores_with_reasons(),
        "release-certificate of scores with reasons": score_certificate(scores_with_reasons()),
        "template of scores of two owners": scores_of_two(),
        "release-certificate of scores of two owners": score_certificate(scores_of_two()),
    }


def scores_formats() -> dict[str, str]:
    """Give what else two sides write alike."""
    part = score_certificate(scores()).part("tax").score
    of_two = score_certificate(scores_of_two()).part("tax").score
    told = (Truth.NOT_FOUND, *(Band(number) for number in range(1, MOST_BANDS + 1)))
    codes = {str(band): code for band, code in BANDED.items()}
    reasoned = score_certificate(scores_with_reasons()).part("tax").score
    with_reasons = Answer(Band(2, 0b10), bytes(32), scored=True, reasoned=True)
    nothing = Answer(Truth.NOT_FOUND, bytes(32), scored=True, reasoned=True)
    return {
        "batch codes of bands": " ".join(f"{band}={code}" for band, code in codes.items()),
        "batch codes of bands with reasons": " ".join(
            f"band {number}={code}" for number, code in REASONED.items()
        ),
        "score mark with reasons": "" if reasoned is None else reasoned.mark(()),
        "answers of a score with reasons": " ".join(
            each.to_bytes()[:18].hex() for each in (with_reasons, nothing)
        ),
        "score mark": "" if part is None else part.mark(()),
        "score mark of two owners": "" if of_two is None else of_two.mark(()),
        "answers of a score": " ".join(
            f"{each}={Answer(each, bytes(32), scored=True).to_bytes()[:18].hex()}" for each in told
        ),
    }
