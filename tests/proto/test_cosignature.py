"""Cosignatures and policies over them: the standard's bytes, round trips, and forgeries."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from saferoom_proto.checkpoint import (
    Checkpoint,
    Note,
    NoteSignature,
    key_hint,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    signature_line,
)
from saferoom_proto.cosignature import Algorithm, Cosigner, CosignerKey
from saferoom_proto.keys import SigningKey, VerifyKey
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements.witnesses import WitnessPolicy, vouched_by

ORIGIN = "room.example/ledger"
LOG_KEY = SigningKey.from_seed(bytes(range(32)))
HEAD = Checkpoint(ORIGIN, 20852163, hashlib.sha256(b"root").digest())
NOTE = sign_checkpoint(HEAD, LOG_KEY)
NOW = 1_679_315_147

BANK = Cosigner.generate("bank.example/w1", Algorithm.ED25519)
OWNER = Cosigner.generate("owner.example/w1", Algorithm.ML_DSA_44)
AUDITOR = Cosigner.generate("auditor.example/w1", Algorithm.ML_DSA_44)
ALL = (BANK, OWNER, AUDITOR)
KINDS = pytest.mark.parametrize("cosigner", [BANK, OWNER], ids=["ed25519", "ml-dsa-44"])

# signed-note's examples of a verifier key (of a log: type byte 1) and of what it signed.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi"
    "2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def policy(threshold: int, *cosigners: Cosigner, age: int = 60) -> WitnessPolicy:
    keys = tuple(each.key.text for each in cosigners)
    return WitnessPolicy(threshold=threshold, witnesses=keys, max_age_seconds=age)


def cosigned(*cosigners: Cosigner, time: int = NOW, head: Checkpoint = HEAD) -> str:
    note = sign_checkpoint(head, LOG_KEY)
    return note + "".join(each.cosign(head, time) for each in cosigners)


def one_line(line: str) -> NoteSignature:
    return Note.parse(NOTE + line).signatures[-1]


def refusal(demand: WitnessPolicy, note: str) -> Reason:
    with pytest.raises(SafeRoomError) as refused:
        demand.require(HEAD, note, NOW)
    return refused.value.reason


def test_the_standards_verifier_key_has_the_id_that_its_note_is_signed_under() -> None:
    name, hint, encoded = EXAMPLE_KEY.split("+", 2)
    typed = base64.b64decode(encoded)
    assert key_hint(name, typed).hex() == hint
    text = open_note(EXAMPLE_NOTE, name, VerifyKey(typed[1:]))
    assert text == "This is an example message.\n"


def test_a_logs_own_key_is_not_taken_for_a_witnesss() -> None:
    with pytest.raises(SafeRoomError) as refused:
        CosignerKey.parse(EXAMPLE_KEY)
    assert refused.value.reason is Reason.MALFORMED


def test_an_ed25519_cosignature_is_over_the_standards_bytes() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    name = "witness.example/w1"
    signed = b"cosignature/v1\ntime 1679315147\n" + HEAD.text.encode()
    hint = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    body = base64.b64encode(hint + struct.pack(">Q", NOW) + private.sign(signed)).decode()
    key = CosignerKey(name, Algorithm.ED25519, public)
    assert key.verify(one_line(f"\u2014 {name} {body}\n"), HEAD) == NOW


def test_an_ml_dsa_44_cosignature_is_over_the_standards_bytes() -> None:
    private = MLDSA44PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    name = "witness.example/w1"
    signed = (
        b"subtree/v1\n\x00\x12witness.example/w1"
        + NOW.to_bytes(8, "big")
        + b"\x13room.example/ledger"
        + bytes(8)
        + (20852163).to_bytes(8, "big")
        + HEAD.root
    )
    hint = hashlib.sha256(name.encode() + b"\n\x06" + public).digest()[:4]
    sig = private.sign(signed)
    assert len(sig) == 2420
    body = base64.b64encode(hint + struct.pack(">Q", NOW) + sig).decode()
    key = CosignerKey(name, Algorithm.ML_DSA_44, public)
    assert key.verify(one_line(f"\u2014 {name} {body}\n"), HEAD) == NOW


@KINDS
def test_a_key_survives_its_text_and_its_file(cosigner: Cosigner) -> None:
    assert CosignerKey.parse(cosigner.key.text) == cosigner.key
    again = Cosigner.from_pem(cosigner.key.name, cosigner.to_pem())
    assert again.key == cosigner.key
    assert again.key.verify(one_line(again.cosign(HEAD, NOW)), HEAD) == NOW
    assert "private" not in repr(again).lower()


@KINDS
def test_a_cosigned_note_still_opens_under_the_logs_key(cosigner: Cosigner) -> None:
    assert open_checkpoint(cosigned(cosigner), ORIGIN, LOG_KEY.verify_key) == HEAD


@KINDS
@given(data=st.data())
def test_no_changed_byte_of_a_cosignature_is_borne(cosigner: Cosigner, data: st.DataObject) -> None:
    line = one_line(cosigner.cosign(HEAD, NOW))
    at = data.draw(st.integers(0, len(line.sig) - 1))
    flip = data.draw(st.integers(1, 255))
    sig = line.sig[:at] + bytes([line.sig[at] ^ flip]) + line.sig[at + 1 :]
    with pytest.raises(SafeRoomError) as refused:
        cosigner.key.verify(NoteSignature(line.name, line.key_id, sig), HEAD)
    assert refused.value.reason is Reason.BAD_SIGNATURE


@KINDS
@pytest.mark.parametrize(
    "other",
    [
        Checkpoint("other.example/ledger", HEAD.size, HEAD.root),
        Checkpoint(ORIGIN, HEAD.size + 1, HEAD.root),
        Checkpoint(ORIGIN, HEAD.size, bytes(32)),
    ],
    ids=["origin", "size", "root"],
)
def test_a_cosignature_of_another_head_is_refused(cosigner: Cosigner, other: Checkpoint) -> None:
    with pytest.raises(SafeRoomError) as refused:
        cosigner.key.verify(one_line(cosigner.cosign(other, NOW)), HEAD)
    assert refused.value.reason is Reason.BAD_SIGNATURE


@KINDS
@pytest.mark.parametrize("time", [0, 1 << 63])
def test_a_cosignature_without_a_time_is_refused(cosigner: Cosigner, time: int) -> None:
    with pytest.raises(SafeRoomError) as refused:
        cosigner.key.verify(one_line(cosigner.cosign(HEAD, time)), HEAD)
    assert refused.value.reason is Reason.BAD_SIGNATURE


@KINDS
def test_a_time_moved_on_is_refused(cosigner: Cosigner) -> None:
    line = one_line(cosigner.cosign(HEAD, NOW))
    moved = struct.pack(">Q", NOW + 3600) + line.sig[8:]
    note = NOTE + signature_line(line.name, line.key_id, moved)
    assert refusal(policy(1, cosigner), note) is Reason.BAD_SIGNATURE


@KINDS
@pytest.mark.parametrize("length", [1, 8, 9, 64, 71, 2419, 2429])
def test_a_cosignature_of_another_length_is_refused(cosigner: Cosigner, length: int) -> None:
    short = signature_line(cosigner.key.name, cosigner.key.key_id, bytes(7) + b"\x01" * length)
    assert refusal(policy(1, cosigner), NOTE + short) is Reason.BAD_SIGNATURE


def test_a_plain_signature_passed_off_as_a_cosignature_is_refused() -> None:
    """The type byte is in the key id: the same Ed25519 key under another type is another signer."""
    seed = bytes(range(1, 33))
    plain = SigningKey.from_seed(seed)
    witness = CosignerKey("witness.example/w1", Algorithm.ED25519, plain.verify_key.raw)
    body = struct.pack(">Q", NOW) + plain.sign(HEAD.text.encode())
    as_plain = signature_line(witness.name, key_hint(witness.name, b"\x01" + witness.public), body)
    assert vouched_by([witness], HEAD, NOTE + as_plain) == ()
    relabelled = NOTE + signature_line(witness.name, witness.key_id, body)
    with pytest.raises(SafeRoomError) as refused:
        vouched_by([witness], HEAD, relabelled)
    assert refused.value.reason is Reason.BAD_SIGNATURE


def test_two_of_three_are_enough_and_one_is_not() -> None:
    demand = policy(2, *ALL)
    told = demand.require(HEAD, cosigned(BANK, AUDITOR), NOW)
    assert {each.witness for each in told.by} == {BANK.key.name, AUDITOR.key.name}
    assert refusal(demand, cosigned(OWNER)) is Reason.NOT_WITNESSED
    assert refusal(demand, NOTE) is Reason.NOT_WITNESSED


def test_a_witness_counts_once_however_many_lines_it_has() -> None:
    note = cosigned(BANK) + BANK.cosign(HEAD, NOW) + BANK.cosign(HEAD, NOW + 1)
    assert refusal(policy(2, *ALL), note) is Reason.NOT_WITNESSED
    (word,) = vouched_by([each.key for each in ALL], HEAD, note)
    assert word.time == NOW + 1


def test_strangers_lines_and_namesakes_are_passed_over() -> None:
    namesake = Cosigner.generate(BANK.key.name, Algorithm.ED25519)
    note = cosigned(namesake) + Cosigner.generate("x.example", Algorithm.ED25519).cosign(HEAD, NOW)
    assert refusal(policy(1, *ALL), note) is Reason.NOT_WITNESSED
    policy(1, *ALL).require(HEAD, note + OWNER.cosign(HEAD, NOW), NOW)


def test_a_forged_line_of_a_known_witness_spoils_the_note() -> None:
    line = one_line(OWNER.cosign(HEAD, NOW))
    forged = signature_line(line.name, line.key_id, line.sig[:8] + bytes(2420))
    assert refusal(policy(1, *ALL), cosigned(BANK) + forged) is Reason.BAD_SIGNATURE


def test_a_note_with_sixteen_witnesses_is_read_and_one_with_more_is_not() -> None:
    many = [Cosigner.generate(f"w{number}.example", Algorithm.ED25519) for number in range(17)]
    told = policy(16, *many[:16]).require(HEAD, cosigned(*many[:16]), NOW)
    assert len(told.by) == 16
    assert refusal(policy(1, BANK), cosigned(*many)) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("time", "counts"), [(NOW, True), (NOW - 60, True), (NOW - 61, False), (NOW + 31, False)]
)
def test_a_word_counts_as_long_as_the_policy_says(time: int, counts: bool) -> None:
    note = cosigned(BANK, OWNER, time=time)
    if counts:
        assert policy(2, BANK, OWNER).require(HEAD, note, NOW).time == time
    else:
        assert refusal(policy(2, BANK, OWNER), note) is Reason.NOT_WITNESSED
    assert len(policy(2, BANK, OWNER).counted(HEAD, note).by) == 2


def test_one_fresh_word_does_not_make_an_old_one_young() -> None:
    note = cosigned(BANK, time=NOW) + OWNER.cosign(HEAD, NOW - 600)
    assert refusal(policy(2, *ALL), note) is Reason.NOT_WITNESSED
    assert policy(1, *ALL).require(HEAD, note, NOW).time == NOW


def test_one_witness_under_two_names_is_refused_in_a_policy() -> None:
    alias = CosignerKey("alias.example", BANK.key.algorithm, BANK.key.public)
    with pytest.raises(ValidationError, match="stands twice"):
        WitnessPolicy(threshold=2, witnesses=(BANK.key.text, alias.text), max_age_seconds=60)
    namesake = Cosigner.generate(BANK.key.name, Algorithm.ML_DSA_44)
    with pytest.raises(ValidationError, match="different names"):
        policy(2, BANK, namesake)


@pytest.mark.parametrize("threshold", [0, 4])
def test_a_policy_that_nothing_or_everything_passes_is_refused(threshold: int) -> None:
    with pytest.raises(ValidationError):
        policy(threshold, *ALL)


def altered_keys(text: str) -> list[str]:
    return [
        text.replace("+", "-", 1),
        text.rpartition("+")[0],
        "other.example" + text[text.index("+") :],
        text[:-4] + "AAA=",
        text.upper(),
        f"{text}\n",
        "",
    ]


@pytest.mark.parametrize("which", range(7))
def test_a_verifier_key_in_any_other_form_is_refused(which: int) -> None:
    for cosigner in (BANK, OWNER):
        text = altered_keys(cosigner.key.text)[which]
        with pytest.raises(ValidationError):
            WitnessPolicy(threshold=1, witnesses=(text,), max_age_seconds=60)


def test_a_name_that_a_cosignature_can_not_hold_is_refused() -> None:
    for name in ("", "a b", "a+b", "x" * 256, "bell\x07"):
        with pytest.raises(SafeRoomError) as refused:
            Cosigner.generate(name, Algorithm.ML_DSA_44)
        assert refused.value.reason is Reason.MALFORMED


def test_another_kind_of_key_is_no_witnesss() -> None:
    for pem in (b"", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(SafeRoomError) as refused:
            Cosigner.from_pem("w.example", pem)
        assert refused.value.reason is Reason.BAD_CONFIG
