"""What a stand-in for an enclave says to requests: yes to a question, nothing for a price."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Final, cast

from saferoom_proto import hpke
from saferoom_proto.answer import Answer, Truth, commitment, seal_info
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import Reason
from saferoom_proto.statements import (
    CheckRequest,
    CostEstimate,
    CostRequest,
    Outcome,
    Payload,
    Release,
    load,
)

ANY: Final = "sha256:" + "0" * 64


def word_on(
    envelope: Envelope, spoken: Mapping[str, object], behaviour: Mapping[str, object]
) -> tuple[Payload, bytes]:
    """Give the enclave's word on a request, and the answer sealed to its asker, if any.

    Args:
        envelope: the request.
        spoken: the fields that every word of the enclave's has.
        behaviour: what it does otherwise than an enclave.
    """
    if envelope.payload_type == CostRequest.payload_type():
        return _estimate(envelope, spoken), b""
    return _release(envelope, spoken, behaviour)


def _estimate(envelope: Envelope, spoken: Mapping[str, object]) -> CostEstimate:
    asked = load(envelope, CostRequest)
    own: dict[str, object] = {
        "institution": asked.institution,
        "template": asked.template,
        "certificate": asked.certificate,
        "agreement": ANY,
        "refused": None,
        "features": (),
        "families": (),
    }
    return CostEstimate.model_validate({**spoken, **own})


def _release(
    envelope: Envelope, spoken: Mapping[str, object], behaviour: Mapping[str, object]
) -> tuple[Release, bytes]:
    asked, answer, sealed = load(envelope, CheckRequest), None, b""
    if "refuse" not in behaviour:
        data = Answer(Truth.YES, os.urandom(32)).to_bytes()
        answer, info = commitment(data), seal_info(envelope.digest, cast("str", spoken["owner"]))
        sealed = hpke.seal(base64.b64decode(asked.reply_key), data, info=info)
    own: dict[str, object] = {
        "institution": asked.institution,
        "template": asked.template,
        "certificate": asked.certificate,
        "approvals": (ANY,),
        "agreement": ANY,
        "consent": None,
        "outcome": Outcome.ANSWERED if answer else Outcome.REFUSED,
        "reason": None if answer else Reason(cast("str", behaviour["refuse"])),
        "charges": (),
        "answer": answer,
    }
    return Release.model_validate({**spoken, **own}), sealed
