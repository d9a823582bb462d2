"""Frozen examples of what is signed about a job of joint training."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.encoding import b64
from saferoom_proto.formula import FeatureRef
from saferoom_proto.job_channel import alignment_job, channel_digest, channel_info
from saferoom_proto.pinned import PinnedFeature, pin
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    Bounds,
    Feature,
    Figure,
    JobAdmission,
    JobCancel,
    JobOutcome,
    JobRelease,
    JobRequest,
    JobStep,
    Payload,
    PrivacySpent,
    Purpose,
    Runs,
    Template,
    Title,
    Training,
    TrainingMethod,
    seal_statement,
)
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

_SPENT = PrivacySpent(charged=Decimal(1), spent=Decimal(2), cap=Decimal(3))


def training() -> Template:
    """Give a template of joint training."""
    return Template(
        room=ROOM,
        kind="Training",
        name="default-model",
        title=TITLE,
        proposer="bank-a",
        signer=b64(CERTIFICATE),
        purposes=(Purpose.PRODUCT_DESIGN,),
        training=Training(
            algorithm=TrainingMethod.VERTICAL_LOGISTIC,
            features=("tax.vat", "tax.rating"),
            label=Title(en="Default within a year", zh="一年内违约"),
            label_columns=10,
            inverse_ridge=Bounds(least=Decimal("0.01"), most=Decimal(1)),
            rounds=25,
            least_rows=1_000,
            least_events=100,
            releases=(Figure.ROWS, Figure.ROUNDS, Figure.CONVERGENCE),
            runs=Runs(most=4, days=30),
        ),
    )


def training_certificate() -> ReleaseCertificate:
    """Derive its release certificate."""
    return derive_certificate(seal_statement(training(), key("desk")), _features())


def _features() -> dict[FeatureRef, PinnedFeature]:
    defined = definitions().values()
    return pin(seal_statement(each, key("li")) for each in defined if isinstance(each, Feature))


def training_of_two() -> Template:
    """Give a template that trains on the columns of two owners."""
    asked = training().training
    if asked is None:
        raise ValueError("a template of another kind")
    features = ("court.listed", "tax.vat", "tax.rating")
    of_two = asked.model_copy(update={"features": features, "host": "tax"})
    return training().model_copy(update={"name": "default-model-2", "training": of_two})


def certificate_of_two() -> ReleaseCertificate:
    """Derive its release certificate: it pins the charters that owners' enclaves rest on."""
    charters = {owner: digest(f"charter of {owner}") for owner in ("court", "tax")}
    return derive_certificate(seal_statement(training_of_two(), key("desk")), _features(), charters)


def _request() -> JobRequest:
    return JobRequest(
        room=ROOM,
        institution="bank-a",
        template=digest("template"),
        certificate=digest("certificate"),
        purpose=Purpose.PRODUCT_DESIGN,
        items=30_000,
        commitment=digest("blinded set"),
        columns=10,
        inverse_ridge=Decimal("0.02"),
        rank=4,
        rounds=25,
        nonce=b64(seed("job nonce", 16)),
        not_before=AT,
        not_after=AT + timedelta(days=2),
        channel_key=b64(sealing("channel").public),
    )


def words_on_jobs() -> dict[str, Payload]:
    """Give what an institution and an enclave sign about a job."""
    word: dict[str, object] = {
        "room": ROOM,
        "owner": "tax",
        "request": digest("job request"),
        "institution": "bank-a",
        "endorsement": digest("endorsement"),
        "charter": digest("charter 2"),
        "template": digest("template"),
        "certificate": digest("certificate"),
        "approvals": (digest("approval 1"), digest("approval 2")),
        "agreement": digest("agreement"),
        "stream": STREAM,
        "store": STORE,
        "chain": LINK,
        "time": AT,
    }
    released: dict[str, object] = word | {
        "outcome": JobOutcome.RELEASED,
        "ended_in": JobStep.TRAINING,
        "reason": None,
        "cancel": None,
        "rows": 24_310,
        "rounds": 9,
        "converged": True,
        "model": digest("model"),
    }
    none: dict[str, object] = {"rows": None, "rounds": None, "converged": None, "model": None}
    refused: dict[str, object] = {
        "approvals": (),
        "store": None,
        "outcome": JobOutcome.REFUSED,
        "ended_in": JobStep.ADMISSION,
        "reason": Reason.NOT_APPROVED,
    }
    cancelled: dict[str, object] = {
        "outcome": JobOutcome.CANCELLED,
        "ended_in": JobStep.ALIGNMENT,
        "cancel": digest("cancel"),
    }
    admitted = word | {"columns": 13, "channel": digest("channel"), "run": 2}
    return {
        "template of a training": training(),
        "release-certificate of a training": training_certificate(),
        "template of a training of two owners": training_of_two(),
        "release-certificate of a training of two owners": certificate_of_two(),
        "job-request": _request(),
        "job-cancel": JobCancel(
            room=ROOM,
            institution="bank-a",
            owner="tax",
            job=digest("job request"),
            why="the label was of the wrong year",
            at=AT,
        ),
        "job-admission": JobAdmission.model_validate(admitted),
        "job-admission with bands": JobAdmission.model_validate(admitted | {"privacy": _SPENT}),
        "job-release": JobRelease.model_validate(released),
        "job-release that refuses": JobRelease.model_validate(released | none | refused),
        "job-release of a cancelled job": JobRelease.model_validate(released | none | cancelled),
    }


def channel_formats() -> dict[str, str]:
    """Give what the two sides of a job derive alike."""
    return {
        "job alignment": alignment_job(_request()),
        "job channel commitment": channel_digest(seed("channel secret"), digest("job request")),
        "job channel info": channel_info(digest("job request"), "tax").decode(),
    }
