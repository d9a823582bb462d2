"""An approver's order to try a feature's draft over the owner's own store."""

from __future__ import annotations

from typing import ClassVar

from saferoom_proto.statements.base import Instant, Name, Owner, Payload, Usage
from saferoom_proto.statements.feature import Feature
from saferoom_proto.statements.request import ReplyKey


class FeatureTrial(Payload):
    """An approver has the enclave try a draft: nothing comes of it but a verdict for them alone."""

    KIND: ClassVar[str] = "feature-trial"
    SIGNED_BY: ClassVar[Usage] = Usage.APPROVER

    owner: Owner
    approver: Name
    draft: Feature
    reply_key: ReplyKey
    """Made for this trial: the verdict is sealed to it."""
    at: Instant
