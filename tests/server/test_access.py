from __future__ import annotations

import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from saferoom.access import ACCESS, ANYBODY, require_access
from saferoom.evidence import Caller, Role
from saferoom.health import REFLECTION, SERVICES
from saferoom_proto.identity import Identity, IdentityKind
from saferoom_proto.reasons import Reason, SafeRoomError

NEVER_SERVED = "saferoom.v1.EnclaveService"


def methods(file: FileDescriptor) -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for service in file.services_by_name.values()
        for method in service.methods
    }


def served_methods() -> set[str]:
    names = ("identity", "owner", "template", "consent", "subject", "check", "use", "ledger")
    files = [
        f"saferoom_proto/v1/{name}.proto"
        for name in (*names, "batch", "job", "table", "relay", "federation")
    ]
    files += [health_pb2.DESCRIPTOR.name, reflection_pb2.DESCRIPTOR.name]
    described = set[str]().union(*(methods(Default().FindFileByName(file)) for file in files))
    return described | {f"/{REFLECTION}/ServerReflectionInfo"}


def caller(*roles: Role) -> Caller:
    identity = Identity(IdentityKind.ORGANISATION, "bank-a", "desk", "sha256:" + "0" * 64)
    return Caller(identity, frozenset(roles))


def test_the_table_has_exactly_one_row_for_every_method_that_is_served() -> None:
    assert set(ACCESS) == served_methods()


def test_the_enclaves_own_service_is_not_served() -> None:
    assert NEVER_SERVED not in SERVICES
    assert not any(NEVER_SERVED in method for method in ACCESS)


@pytest.mark.parametrize("method", ["/saferoom.v1.CheckService/Chek", "", "/", "Check"])
def test_a_method_without_a_row_is_refused_whoever_calls(method: str) -> None:
    with pytest.raises(SafeRoomError) as refusal:
        require_access(method, caller(*Role))
    assert refusal.value.reason is Reason.NOT_ALLOWED


@pytest.mark.parametrize("method", ACCESS)
def test_who_has_no_role_calls_only_what_anybody_may(method: str) -> None:
    if ACCESS[method] is ANYBODY:
        require_access(method, caller())
    else:
        with pytest.raises(SafeRoomError) as refusal:
            require_access(method, caller())
        assert refusal.value.reason is Reason.NOT_ALLOWED


@pytest.mark.parametrize("method", ACCESS)
def test_only_the_roles_of_its_row_call_a_method(method: str) -> None:
    for role in Role:
        if ACCESS[method] is ANYBODY or role in ACCESS[method]:
            require_access(method, caller(role))
        else:
            with pytest.raises(SafeRoomError):
                require_access(method, caller(role))


def test_only_institutions_ask() -> None:
    assert ACCESS["/saferoom.v1.CheckService/Check"] == {Role.INSTITUTION}
