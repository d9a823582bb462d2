"""The page on the ledger says who may call and open what; the tables are what the room goes by."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import pytest

from saferoom.access import ACCESS, MEMBERS
from saferoom.archive import Found
from saferoom.concern import CONCERNED, EVERY_MEMBER
from saferoom.evidence import Role
from saferoom_proto.statements import Consent, FederationProposal, Payload, seal_statement
from tests.proto.golden_examples import payloads
from tests.proto.golden_seeds import key
from tests.proto.kinds import recorded_kinds

ROW: Final = re.compile(r"^\| ((?:`[\w-]+` ?)+)\| ([^|]+) \|$", re.MULTILINE)
FIELDS: Final = {"its owner": "owner", "its institution": "institution", "its subject": "subject"}
ROLES: Final = {
    "institutions": Role.INSTITUTION,
    "owners": Role.OWNER,
    "auditors": Role.AUDITOR,
}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "ledger.md").read_text("utf-8")


def rows(table: str) -> dict[str, set[str]]:
    """Read a table of names and of who each is for."""
    found = {
        name: {one.strip() for one in who.split(",")}
        for names, who in ROW.findall(table)
        for name in re.findall(r"`([\w-]+)`", names)
    }
    assert found
    return found


def concerned(page: str) -> dict[str, set[str]]:
    return rows(page.partition("| statement | concerns |")[2].partition("\n\n")[0])


def test_the_calls_are_for_whom_the_page_says(page: str) -> None:
    table = rows(page.partition("| call | who |")[2].partition("\n\n")[0])
    calls = {each.rpartition("/")[2]: who for each, who in ACCESS.items() if "Ledger" in each}
    assert table.keys() == calls.keys()
    for name, who in table.items():
        words = {one.partition(":")[0] for one in who}
        expected = MEMBERS if words == {"every member"} or name == "ListEntries" else None
        assert calls[name] == (expected or {ROLES[one] for one in words}), name


def test_every_kind_that_the_log_holds_stands_in_the_table(page: str) -> None:
    assert concerned(page).keys() == {kind.KIND for kind in recorded_kinds()}


def test_every_member_may_open_what_the_table_says(page: str) -> None:
    table = concerned(page)
    assert {name for name, who in table.items() if who == {"every member"}} == EVERY_MEMBER


RECORDED: Final = [name for name, each in payloads().items() if type(each) in recorded_kinds()]


@pytest.mark.parametrize("name", RECORDED)
def test_others_are_shown_what_names_them_as_the_table_says(page: str, name: str) -> None:
    payload = payloads()[name]
    if payload.KIND not in CONCERNED:
        assert "its owner" not in concerned(page)[payload.KIND]
        return
    found = cast("Found", SimpleNamespace(envelope=seal_statement(payload, key("li"))))
    named = {one for one in CONCERNED[payload.KIND](found) if one is not None}
    told = concerned(page)[payload.KIND]
    assert named == {one for who in told for one in _of(payload, who)}
    for who in told & FIELDS.keys():
        assert hasattr(payload, FIELDS[who])


def _of(payload: Payload, who: str) -> set[str]:
    if who == "its registrar" and isinstance(payload, Consent):
        return set() if payload.paper is None else {payload.paper.registrar}
    if who == "its banks" and isinstance(payload, FederationProposal):
        return set(payload.banks)
    value = getattr(payload, FIELDS[who], None) if who in FIELDS else None
    return set() if value is None else {str(value)}
