"""Frozen examples of what is signed about a job of joint training."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from saferoom_proto.encoding import b64
from saferoom_proto.job_channel import alignment_job, channel_digest, channel_info
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    JobAdmission,
    JobCancel,
    JobOutcome,
    JobRelease,
    JobRequest,
    JobStep,
    Payload,
    Purpose,
)
from tests.proto.golden_seeds import AT, LINK, ROOM, STORE, STREAM, digest, sealing, seed


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
    return {
        "job-request": _request(),
        "job-cancel": JobCancel(
            room=ROOM,
            institution="bank-a",
            owner="tax",
            job=digest("job request"),
            why="the label was of the wrong year",
            at=AT,
        ),
        "job-admission": JobAdmission.model_validate(
            word | {"columns": 13, "channel": digest("channel"), "run": 2}
        ),
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
