"""Whose an entry of the log says to be, also where what stands in it is nonsense."""

from __future__ import annotations

import json

import pytest

from saferoom_client.audit.book import Book
from saferoom_client.audit.entries import TAKES
from saferoom_client.audit.naming import KINDS, Named, named
from saferoom_client.audit.words import Words
from saferoom_proto.dsse import Envelope, sign
from saferoom_proto.statements.base import Payload
from saferoom_proto.trust import Trust
from simulator import Seeds

FIRM = "91990000000001011G"
ANYBODY = Seeds("naming").signing("anybody")


def entry(kind: str, payload: object) -> Envelope:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return sign(f"application/vnd.saferoom.{kind}.v1+json", data, ANYBODY)


@pytest.mark.parametrize(
    ("kind", "payload", "whose"),
    [
        ("approval", {"owner": "tax", "approver": "li"}, "tax"),
        ("template", {"proposer": "bank-a"}, "bank-a"),
        ("consent", {"subject": FIRM, "institution": "bank-a"}, FIRM),
        ("release", {"institution": "bank-a", "owner": "tax"}, "tax"),
        ("release", {"owner": "\x1b[2J"}, ""),
        ("release", {"owner": 7}, ""),
        ("release", {"owner": "x" * 9999}, "x" * 64),
        ("release", [1], ""),
        ("release", b"{", ""),
        ("release", b"[" * 100_000, ""),
    ],
)
def test_an_entry_is_named_by_what_it_says(kind: str, payload: object, whose: str) -> None:
    assert named(entry(kind, payload)) == Named(kind, whose)


def test_what_is_no_statement_of_ours_has_no_name() -> None:
    assert named(sign("text/plain", b"{}", ANYBODY)) == Named()
    assert str(Named("release", "tax")) == "release of tax"
    assert str(Named("release")) == "release"


def test_every_kind_that_is_listed_is_one() -> None:
    kinds = {each.KIND for each in Payload.__subclasses__() if hasattr(each, "KIND")}
    for each in Payload.__subclasses__():
        kinds |= {below.KIND for below in each.__subclasses__() if hasattr(below, "KIND")}
    assert set(KINDS) <= kinds


def test_every_kind_that_an_auditor_has_a_rule_for_is_listed() -> None:
    book = Book(
        Trust(origin="naming.test/room", ledger_key=ANYBODY.verify_key.public, charter_roots={})
    )
    listed = {f"application/vnd.saferoom.{kind}.v1+json" for kind in KINDS}
    assert {*TAKES, *Words(book, []).judges} <= listed
