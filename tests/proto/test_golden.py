"""Frozen bytes: what anybody has signed, hashed or kept is read the same for ever.

A change that fails here would turn statements in people's hands into other statements, or into
none. Whoever needs one gives the format a new version beside the old one, with an example of its
own; lines of `golden.json` are added, never altered.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, cast

import pytest

from saferoom_proto import entry
from saferoom_proto.answer import seal_info
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, unb64
from saferoom_proto.hpke import SEED_BYTES, SealingKey
from saferoom_proto.keys import SigningKey
from saferoom_proto.receipt import Receipt
from saferoom_proto.statements import load, seal_statement
from tests.proto import golden_examples as examples
from tests.proto.golden_seeds import digest, key, sealing
from tests.proto.kinds import kinds

HERE: Final = Path(__file__).parent
GOLDEN: Final = json.loads((HERE / "golden.json").read_text())
STATEMENTS: Final[dict[str, dict[str, str]]] = GOLDEN["statements"]
OTHERS: Final[dict[str, str]] = GOLDEN["others"]
WORDS: Final[dict[str, list[str]]] = GOLDEN["words"]
MAKERS: Final[dict[str, str]] = GOLDEN["makers"]
FROZEN: Final = "this format is frozen: make a new version"

PAYLOADS: Final = examples.payloads()


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_statement_is_signed_as_ever(name: str) -> None:
    made = seal_statement(PAYLOADS[name], key("li"))
    golden = STATEMENTS[name]
    assert (made.payload_type, made.payload.decode()) == (golden["type"], golden["payload"]), FROZEN
    assert made.digest == golden["digest"], FROZEN


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_that_was_signed_once_still_opens(name: str) -> None:
    golden = STATEMENTS[name]
    signer = key("li")
    pae = b"DSSEv1 %d %s %d %s" % (
        len(golden["type"]),
        golden["type"].encode(),
        len(golden["payload"].encode()),
        golden["payload"].encode(),
    )
    signature = seal_statement(PAYLOADS[name], signer).signatures[0]
    assert signature.sig == signer.sign(pae), FROZEN
    old = Envelope(golden["type"], golden["payload"].encode(), (signature,))
    old.verify([signer.verify_key])
    assert load(old, type(PAYLOADS[name])) == PAYLOADS[name], FROZEN


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_hashed_sealed_or_kept_is_written_as_ever(name: str) -> None:
    assert examples.others()[name] == OTHERS[name], FROZEN


@pytest.mark.parametrize("name", WORDS)
def test_no_word_of_a_closed_list_goes_or_changes(name: str) -> None:
    assert set(WORDS[name]) <= set(examples.words()[name]), FROZEN


def test_every_kind_of_statement_has_its_example() -> None:
    assert {type(each) for each in PAYLOADS.values()} == kinds()
    assert STATEMENTS.keys() == PAYLOADS.keys()
    assert OTHERS.keys() == examples.others().keys()
    assert WORDS.keys() == examples.words().keys()


def test_every_field_that_may_be_empty_is_shown_full_at_least_once() -> None:
    empty = {
        f"{kind.KIND}.{field}"
        for kind in kinds()
        for field in kind.model_fields
        if not any(
            cast("object", getattr(each, field)) not in (None, ())
            for each in PAYLOADS.values()
            if type(each) is kind
        )
    }
    assert empty == set()


def test_a_receipt_that_was_kept_still_reads() -> None:
    assert Receipt.from_json(OTHERS["receipt"].encode()) == examples.receipt(), FROZEN


def test_an_envelope_that_was_kept_still_reads() -> None:
    old = Envelope.from_json(OTHERS["envelope"].encode())
    assert old == examples.envelope(), FROZEN
    old.verify([key(name).verify_key for name in ("li", "wang")], threshold=2)


def test_an_answer_that_was_sealed_once_still_opens() -> None:
    sealed = unb64(cast("str", GOLDEN["sealed answer"]))
    info = seal_info(digest("request"), "tax")
    answer = sealing("reply").open(sealed, info=info)
    assert answer == unb64(OTHERS["answer"]), FROZEN


def test_other_languages_are_given_the_seeds_of_the_same_bytes() -> None:
    made = {name: key(name).verify_key.public for name in ("li", "ledger")}
    assert SigningKey.from_seed(unb64(MAKERS["signing seed"])).verify_key.public == made["li"]
    assert MAKERS["ledger public key"] == made["ledger"]
    committed = entry.commitment(unb64(MAKERS["entry salt"]), MAKERS["entry statement"])
    assert entry.leaf(committed).decode() == OTHERS["entry leaf"]


def test_a_hybrid_key_can_be_made_of_a_32_byte_seed() -> None:
    # draft-ietf-hpke-pq expands a seed with SHAKE256 into ML-KEM's two seeds and X25519's scalar.
    expanded = hashlib.shake_256(unb64(MAKERS["seal seed"])).digest(SEED_BYTES)
    reader = SealingKey.from_bytes(expanded)
    assert b64(reader.public) == MAKERS["seal public key"]
    opened = reader.open(unb64(MAKERS["sealed"]), info=MAKERS["seal info"].encode())
    assert b64(opened) == MAKERS["opened"] == OTHERS["answer"]
    assert MAKERS["seal info"] == OTHERS["answer seal info"]


@pytest.mark.parametrize(
    ("hash_seed", "zone"), [("0", "UTC"), ("1", "Asia/Shanghai"), ("4242", "America/St_Johns")]
)
def test_another_process_elsewhere_makes_the_same_bytes(hash_seed: str, zone: str) -> None:
    surroundings = {"PYTHONHASHSEED": hash_seed, "TZ": zone, "PYTHONUTF8": "1"}
    told = subprocess.run(
        [sys.executable, "-B", "-m", "tests.proto.golden_examples"],
        cwd=HERE.parent.parent,
        env={"PATH": os.environ["PATH"]} | surroundings,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    there = json.loads(told)
    assert there["statements"]["release-certificate"] == STATEMENTS["release-certificate"], FROZEN
    assert (there["statements"], there["others"]) == (STATEMENTS, OTHERS), FROZEN
