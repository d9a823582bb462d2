"""Holds messages to the rules that stand in the protos (protovalidate)."""

from __future__ import annotations

from typing import Final

import protovalidate
from google.protobuf.message import Message

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

ALL_TOLD_BYTES: Final = 1024
"""Of a longer message the first fault is told alone: 1 MiB can have half a million of them, which
take a minute and a half to write down (measured), and the room does nothing else meanwhile."""


class MessageRules:
    """Checks messages; keeps what it has compiled of their rules."""

    def __init__(self) -> None:
        self._validator: Final = protovalidate.Validator()

    def require(self, message: Message) -> None:
        """Refuse a message that breaks a rule of its proto.

        Raises:
            SafeRoomError: `MALFORMED`; the faults name field and rule, never the value.
        """
        first_alone = message.ByteSize() > ALL_TOLD_BYTES
        violations = self._validator.collect_violations(message, fail_fast=first_alone)
        if violations:
            faults = [_fault(violation) for violation in violations]
            raise SafeRoomError(Reason.MALFORMED, f"{faults[0].field}: {faults[0].rule}", faults)


def _fault(violation: protovalidate.Violation) -> FieldFault:
    told = violation.proto
    elements = () if told.field is None else told.field.elements
    return FieldFault(".".join(_name(element) for element in elements), told.message)


def _name(element: protovalidate.FieldPathElementPb) -> str:
    """Name a field, and which of a list's items; a map's key could be a value and is not told."""
    at = element.subscript
    return f"{element.field_name}[{at.value}]" if at and at.field == "index" else element.field_name
