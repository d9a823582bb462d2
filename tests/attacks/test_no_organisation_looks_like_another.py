"""A bank that has itself enrolled under names that people take for another bank's.

A subject consents to a handle, and an owner approves one: `bank_a` is not `bank-a`, and neither a
machine nor a hurried reader of a list sees that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import grpc
import pytest

from saferoom_proto.identity import organisation_uri, read_identity, subject_uri
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.rpc_errors import from_rpc_error
from saferoom_proto.uscc import parse_uscc
from saferoom_proto.v1 import identity_pb2
from simulator import World
from tests.server.conftest import INSTITUTION
from tests.server.room.opened import SECONDS, OpenedRoom, opened

FIRM: Final = "91350100M000100Y43"
HANDLES: Final = (
    "coal_bank1",
    "coal-bankl",
    "c0al-bank1",
    "coalbank1",
    "coal--bank-1",
    "coal_bank-l",
)
NAMES: Final = (
    "Coal Bank One",
    "COAL  BANK ONE.",
    "\uff23oal Bank One",
    "Coa\u0301l Bank One",
    "C0al-Bank One",
    "coal-bank1",
    "第一煤炭银行",
)
ODD: Final = (
    "Co\u0430l Bank One",  # Cyrillic
    "C\u03bfal Bank One",  # Greek
    "Coal\u200bBank One",
    "Coal Bank One\u034f",
    "Coal Bank\u3164One",
    "Coal Bank\u2800One",
    "Coal\u202eknaB",
    "Coal Bank\nOne",
    "Co\u13aal Bank",  # Cherokee
    "\U0001d402oal Bank\u20dd",
    "...",
)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[OpenedRoom]:
    """Give a room with one bank."""
    async with opened(tmp_path / "room", World("alike")) as room:
        await enrol(room, "coal-bank1", "Coal Bank One", "第一煤炭银行")
        yield room


async def enrol(room: OpenedRoom, name: str, en: str, zh: str) -> None:
    """Have the operator enrol a bank."""
    bank = identity_pb2.Organisation(name=name, title_en=en, title_zh=zh, roles=[INSTITUTION])
    request = identity_pb2.EnrolOrganisationRequest(organisation=bank)
    await room.calls("operator").identity.EnrolOrganisation(request, timeout=SECONDS)


async def refused(room: OpenedRoom, name: str, en: str, zh: str) -> tuple[Reason, str]:
    """Tell why a bank is not enrolled, and for which of its names."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await enrol(room, name, en, zh)
    error = from_rpc_error(caught.value)
    return error.reason, error.fields[0].field


async def test_a_handle_that_looks_like_another_is_not_enrolled(room: OpenedRoom) -> None:
    for name in HANDLES:
        told = await refused(room, name, "Other", "另一家")
        assert (name, *told) == (name, Reason.CONFLICT, "organisation.name")


async def test_a_name_that_looks_like_another_is_not_enrolled(room: OpenedRoom) -> None:
    for en in NAMES:
        told = await refused(room, "other", en, "另一家")
        assert (en, *told) == (en, Reason.CONFLICT, "organisation.title_en")


async def test_a_name_in_letters_that_nobody_tells_apart_is_not_enrolled(room: OpenedRoom) -> None:
    for name in ODD:
        for field, names in (("title_en", (name, "Other")), ("title_zh", ("Other", name))):
            told = await refused(room, "other", *names)
            assert (name, *told) == (name, Reason.MALFORMED, f"organisation.{field}")


async def test_who_was_revoked_leaves_its_names_to_nobody_and_others_are_enrolled(
    room: OpenedRoom,
) -> None:
    request = identity_pb2.RevokeOrganisationRequest(name="coal-bank1")
    await room.calls("operator").identity.RevokeOrganisation(request, timeout=SECONDS)
    assert (await refused(room, "coal-bankl", "Other", "另一家"))[0] is Reason.CONFLICT
    await enrol(room, "coal-bank1", "Coal Bank One", "第一煤炭银行")
    await enrol(
        room, "coal-bank2", "Coal Bank Two (Fuzhou) & Söhne", "第二煤炭银行\uff08福州\uff09·支行"
    )
    told = await room.calls("coal-bank2").identity.ListOrganisations(
        identity_pb2.ListOrganisationsRequest(), timeout=SECONDS
    )
    assert {"coal-bank1", "coal-bank2"} <= {each.name for each in told.organisations}


@pytest.mark.parametrize(
    "uri",
    [
        organisation_uri("bank-\u0430", "desk"),
        organisation_uri("xn--bank-", "\u200bdesk"),
        organisation_uri("bank-a.", "desk"),
        organisation_uri("bank-a ", "desk"),
        organisation_uri("Bank-a", "desk"),
        organisation_uri("bank%2Da", "desk"),
        organisation_uri("\uff42ank-a", "desk"),
        "urn:saferoom:org:bank-a:desk:desk",
        "URN:saferoom:org:bank-a:desk",
        subject_uri(FIRM.lower()),
        subject_uri(FIRM[:-1] + "\uff13"),
        subject_uri(FIRM.replace("0", "O")),
        subject_uri(FIRM + " "),
    ],
)
def test_a_certificate_names_somebody_in_one_written_form_only(uri: str) -> None:
    with pytest.raises((SafeRoomError, ValueError)) as refusal:
        read_identity(World("alike").issuer.issue(uri, SigningKey.generate().verify_key))
    assert not isinstance(refusal.value, SafeRoomError) or refusal.value.reason in {
        Reason.UNAUTHENTICATED,
        Reason.MALFORMED_SUBJECT,
    }


def test_a_code_that_looks_like_anothers_is_no_code() -> None:
    """Its letters leave out I, O, S, V and Z; two check characters tell any one that is changed."""
    others = [
        FIRM[:at] + one + FIRM[at + 1 :]
        for at in range(len(FIRM))
        for one in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if one != FIRM[at]
    ]
    swapped = [
        FIRM[:at] + FIRM[at + 1] + FIRM[at] + FIRM[at + 2 :]
        for at in range(len(FIRM) - 1)
        if FIRM[at] != FIRM[at + 1]
    ]
    wide = ["".join(chr(ord(one) + 0xFEE0) for one in FIRM), FIRM + "\u200b", FIRM + "\u034f"]
    taken: list[str] = []
    for each in (*others, *swapped, *wide):
        try:
            taken.append(parse_uscc(each))
        except SafeRoomError as error:
            assert error.reason is Reason.MALFORMED_SUBJECT
    assert taken == []
    assert parse_uscc(f" {FIRM.lower()}\n") == FIRM
