"""What passes between the room and a relay, between its values and its protobuf messages."""

from __future__ import annotations

from cryptography import x509

from saferoom.relays import Order, SaidDoor
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.v1 import relay_pb2
from saferoom_proto.wire import envelope_from_proto, envelope_to_proto


def said_door(message: relay_pb2.AttendRequest | None) -> SaidDoor | None:
    """Take a door off the wire; none if no enclave listens.

    Raises:
        SafeRoomError: `MALFORMED` if the message is no door, or its certificate none.
    """
    if message is None or message.WhichOneof("message") != "door":
        raise SafeRoomError(Reason.MALFORMED, "a relay says first what listens at it")
    door = message.door
    if not door.certificate:
        return None
    try:
        certificate = x509.load_der_x509_certificate(door.certificate)
    except ValueError as error:
        fault = FieldFault("door.certificate", "not a certificate in DER")
        raise SafeRoomError(Reason.MALFORMED, fault.rule, [fault]) from error
    return SaidDoor(
        certificate=certificate,
        charter=door.charter,
        switchboard=door.switchboard,
        sandbox_level=door.sandbox_level,
        sandbox_missing=tuple(door.sandbox_missing),
        launch=envelope_from_proto(door.launch) if door.HasField("launch") else None,
    )


def enclave_order(order: Order) -> relay_pb2.AttendResponse:
    """Put an order on the wire."""
    message = relay_pb2.EnclaveOrder(
        charter=envelope_to_proto(order.charter), switchboard=envelope_to_proto(order.switchboard)
    )
    return relay_pb2.AttendResponse(order=message)


def carried(message: relay_pb2.AttendRequest) -> bytes:
    """Take carried bytes off the wire.

    Raises:
        SafeRoomError: `MALFORMED` if it is something else.
    """
    if message.WhichOneof("message") != "carried":
        raise SafeRoomError(Reason.MALFORMED, "after its door a relay only carries")
    return message.carried
