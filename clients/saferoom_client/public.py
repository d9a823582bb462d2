"""The names that programs use; `saferoom_client` gives them when they are asked for."""

from __future__ import annotations

from saferoom_client.aio import AsyncRoom
from saferoom_client.question import Question
from saferoom_client.refused import Refused
from saferoom_client.room import Room
from saferoom_client.values import CheckAnswer
from saferoom_proto.answer import Truth
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.receipt import Receipt, verify_receipt
from saferoom_proto.statements import Purpose
from saferoom_proto.trust import Trust

__all__ = [
    "AsyncRoom",
    "CheckAnswer",
    "Purpose",
    "Question",
    "Reason",
    "Receipt",
    "Refused",
    "Room",
    "SafeRoomError",
    "Trust",
    "Truth",
    "verify_receipt",
]
