"""Frozen examples of trainings in the room: what is asked, signed about it, and told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.encoding import b64
from saferoom_proto.fit_receipt import FitReceipt, GiverPart
from saferoom_proto.fits import ModelCard
from saferoom_proto.formula import FeatureRef
from saferoom_proto.pinned import PinnedFeature, pin
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Feature,
    Fit,
    FitRelease,
    FitRequest,
    Outcome,
    Payload,
    PrivacySpent,
    Purpose,
    Template,
    seal_statement,
)
from saferoom_proto.suite import Suite
from tests.proto.golden_owners import definitions
from tests.proto.golden_seeds import (
    AT,
    CERTIFICATE,
    LINK,
    ROOM,
    STORE,
    STREAM,
    TITLE,
    digest,
    key,
    sealing,
    seed,
)


def fit_template(**changes: object) -> Template:
    """Give a template of a training in the room; what is trained can be changed by name."""
    asked: dict[str, object] = {
        "algorithm": "logistic-1",
        "features": ("tax.vat", "tax.rating"),
        "label": "tax.late",
        "inverse_ridge": {"least": "0.01", "most": "1"},
        "least_rows": 1000,
        "least_events": 80,
        "releases": ("rows", "auc", "ks", "weights"),
        "runs": {"most": 6, "days": 30},
    }
    return Template(
        room=ROOM,
        kind="Fit",
        name="late-payers",
        title=TITLE,
        proposer="bank-a",
        signer=b64(CERTIFICATE),
        purposes=(Purpose.PRODUCT_DESIGN,),
        fit=Fit.model_validate(asked | changes, strict=False),
    )


def fit_certificate() -> ReleaseCertificate:
    """Derive its release certificate."""
    return derive_certificate(seal_statement(fit_template(), key("desk")), pinned())


def pinned() -> Mapping[FeatureRef, PinnedFeature]:
    """Give the features that they read."""
    defined = [each for each in definitions().values() if isinstance(each, Feature)]
    flag = next(each for each in defined if each.full_name == "court.listed")
    late = flag.model_copy(update={"owner": "tax", "name": "late", "level": 2})
    return pin(seal_statement(each, key("li")) for each in (*defined, late))


BANDED: dict[str, object] = {
    "releases": ("rows", "bands"),
    "bands": {"epsilon": "0.5", "cap": "1.5", "least": 20},
}
SPENT = PrivacySpent(charged=Decimal("0.5"), spent=Decimal(1), cap=Decimal("1.5"))


def fit_of_two() -> Template:
    """Give a template of a training over two owners' columns."""
    return fit_template(features=("court.listed", "tax.vat"))


def certificate_of_two() -> ReleaseCertificate:
    """Derive its release certificate, which pins both owners' charters."""
    charters = {owner: digest(f"charter of {owner}") for owner in ("court", "tax")}
    return derive_certificate(seal_statement(fit_of_two(), key("desk")), pinned(), charters)


def words_on_fits() -> dict[str, Payload]:
    """Give what an institution asks, and what an enclave signs about it."""
    asked: dict[str, object] = {
        "room": ROOM,
        "institution": "bank-a",
        "template": digest("template"),
        "certificate": digest("certificate"),
    }
    request: dict[str, object] = {
        **asked,
        "purpose": Purpose.PRODUCT_DESIGN,
        "inverse_ridge": "0.1",
        "trees": None,
        "leaves": None,
        "nonce": b64(seed("nonce", 16)),
        "not_before": AT,
        "not_after": AT + timedelta(minutes=10),
        "reply_key": b64(sealing("reply").public),
    }
    said: dict[str, object] = {
        **asked,
        "owner": "tax",
        "request": digest("fit request"),
        "endorsement": digest("endorsement"),
        "charter": digest("charter 2"),
        "approvals": (digest("approval 1"), digest("approval 2")),
        "agreement": digest("agreement"),
        "stream": STREAM,
        "store": STORE,
        "outcome": Outcome.ANSWERED,
        "reason": None,
        "run": 2,
        "model": digest("model"),
        "answer": digest("card"),
        "chain": LINK,
        "time": AT,
    }
    none: dict[str, object] = {"outcome": Outcome.REFUSED, "model": None, "answer": None}
    withheld = {**none, "reason": Reason.WITHHELD}
    refused = {**none, "reason": Reason.NOT_APPROVED, "run": None, "approvals": (), "store": None}
    cancelled = {**none, "cancel": digest("cancel")}
    waited = {**cancelled, "run": None, "approvals": ()}
    price = {**refused, "reason": Reason.PRICE_ONLY, "privacy": SPENT}
    trees = {"inverse_ridge": None, "trees": 100, "leaves": 8}
    boosting = {"algorithm": "boosting-1", "inverse_ridge": None, "trees": 10, "leaves": 7}
    return {
        "template of a fit": fit_template(),
        "template of a fit of trees": fit_template(**boosting, releases=("auc",)),
        "release-certificate of a fit": fit_certificate(),
        "template of a fit of two owners": fit_of_two(),
        "release-certificate of a fit of two owners": certificate_of_two(),
        "fit-request": FitRequest.model_validate(request, strict=False),
        "fit-request of trees": FitRequest.model_validate(request | trees, strict=False),
        "fit-request of a price": FitRequest.model_validate(
            request | {"price": True}, strict=False
        ),
        "fit-release of a price": FitRelease.model_validate(said | price),
        "fit-release": FitRelease.model_validate(said),
        "fit-release that withholds": FitRelease.model_validate(said | withheld),
        "template of a fit with bands": fit_template(**BANDED),
        "fit-release with bands": FitRelease.model_validate(said | {"privacy": SPENT}),
        "fit-release that refuses": FitRelease.model_validate(said | refused),
        "fit-release that was cancelled": FitRelease.model_validate(said | cancelled),
        "fit-release that was cancelled before it began": FitRelease.model_validate(said | waited),
    }


def card(**changes: object) -> ModelCard:
    """Give what is told of a model; fields can be changed by name."""
    fields: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "request": digest("fit request"),
        "template": digest("template"),
        "epoch": 3,
        "rows": 30_000,
        "auc": "0.74",
        "ks": "0.36",
        "membership": "0.01",
        "by_chance": "0.02",
        "weights": ({"column": "tax.vat", "weight": "-0.31"},),
        "salt": b64(seed("salt")),
    }
    return ModelCard.model_validate(fields | changes)


def _banded() -> ModelCard:
    riskiest = {"events": 260, "others": 740, "foretold": "0.251"}
    safest = {"events": 60, "others": 2940, "foretold": "0.022"}
    none = {"auc": None, "ks": None, "weights": None}
    return card(**none, bands=(riskiest, safest))


def fit_receipt(*givers: GiverPart) -> FitReceipt:
    """Make a receipt file; its envelopes are not, since only the form matters here."""
    return FitReceipt(
        givers=givers,
        request="request",
        template="template",
        certificate="{}",
        owner="tax",
        charters=("charter",),
        features=("feature",),
        approvals=("approval",),
        agreement="agreement",
        endorsement="endorsement",
        release="release",
        salt=b64(seed("salt")),
        proof="proof",
        card="{}",
    )


def giver_part() -> GiverPart:
    """Make the part of another owner's enclave that let it begin."""
    return GiverPart(
        owner="court",
        charters=("charter",),
        features=("feature",),
        approvals=("approval",),
        agreement="agreement",
        endorsement="endorsement",
        release="admission",
        salt=b64(seed("salt")),
        proof="proof",
    )


def fits_formats() -> dict[str, str]:
    """Give every format of trainings in the room that is sealed, hashed or kept."""
    told = card().to_bytes()
    return {
        "model card": told.rstrip().decode(),
        "model card with bands": _banded().to_bytes().rstrip().decode(),
        "model card length": str(len(told)),
        "model card commitment": Suite.INTERNATIONAL.digest(told),
        "fit receipt": fit_receipt().to_json().decode(),
        "model card of two owners": card(givers=("court",)).to_bytes().rstrip().decode(),
        "fit receipt of two owners": fit_receipt(giver_part()).to_json().decode(),
    }
