"""Verify a receipt of a data safe room, with Python 3.11 or later and `cryptography` alone.

    python verify_receipt.py receipt.json --trust trust.json

`trust.json` holds the keys you pinned: {"origin": ROOM, "ledger_key": BASE64, "charter_roots":
{OWNER: BASE64}}. Once the log's key was handed over it has "former_ledger_keys": [{"key": BASE64,
"size": NUMBER}]: such a key counts up to a log of that size. Once an owner's root was,
"former_charter_roots": {OWNER: [{"root": BASE64, "charters": [DIGEST], "handover": TEXT}]}: of such
a root those charters count. A receipt itself leads on from a root to the next ones.

Nothing is fetched, written or asked.
Exit status: 0 if all verifies, 1 if anything does not, 2 if the files cannot be read.

This is a second implementation, to be read on its own: it shares no line with the room's software.
`docs/receipts.md` tells the formats. Standards: DSSE v1.0.2; RFC 8032 (Ed25519); RFC 5280 (X.509);
RFC 9162 section 2.1 (Merkle trees); C2SP signed-note, tlog-checkpoint and tlog-proof.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import math
import re
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Doc = dict[str, object]
T = TypeVar("T")

# ------------------------------------------------------------------ what statements look like

KINDS = {
    "charter": "room owner title version previous suite root approvers threshold issuers registrars"
    " key_agent pairing room_keys max_head_age_seconds min_sandbox_level"
    " release_tick_milliseconds limits",
    "root-handover": "room owner former following version previous time",
    "endorsement": "room valid_from valid_to owner identity sealing tls charter code dependencies"
    " evidence_kind evidence quote chain previous sandbox_level",
    "feature": "room owner name version title unit level family information_types as_of sql kind"
    " grid classes absent budget_bits",
    "template": "room kind name title proposer signer purposes params check returns",
    "template of scores": "room kind name title proposer signer purposes params returns score",
    "release-certificate": "room template purposes returns parts",
    "approval": "room owner approver charter template certificate at",
    "agreement": "room valid_from valid_to owner institution group keys purposes replaces",
    "consent": "room valid_from valid_to subject certificate institution purposes features"
    " information_types uses notice nonce paper",
    "check-request": "room institution template certificate subject params purpose nonce not_before"
    " not_after reply_key",
    "batch-request": "room institution template certificate params purpose rows root nonce"
    " not_before not_after reply_key",
    "list-request": "room institution template certificate code page purpose nonce not_before"
    " not_after reply_key",
    "release": "room owner request institution endorsement charter template certificate approvals"
    " agreement consent stream store outcome reason charges answer chain time",
    "batch-release": "room owner request institution endorsement charter template certificate"
    " agreement outcome reason answered refused root spans stream chain time",
    "cost-estimate": "room owner request institution endorsement charter template certificate"
    " agreement stream store refused features families chain time",
    "cost-request": "room institution template certificate subject params purpose nonce not_before"
    " not_after",
    "disclosure": "room owner request subject endorsement charter stream store schema_digest answer"
    " chain time",
}
"""Every kind of statement that a receipt holds, with its fields in the one order they have."""

LATER = {"charter": "witnesses"}
"""A field that a kind was given later, and that is left out where it says nothing."""

FILES = {
    "saferoom-receipt/v1": "format request template certificate parts",
    "saferoom-row-receipt/v1": "format request template certificate index row blind path parts",
    "saferoom-batch-receipt/v1": "format request template certificate blinding rows parts",
    "saferoom-use/v1": "format charter endorsement word salt proof question",
}
GROUNDS = "owner charters features approvals agreements endorsement release salt proof"
PARTS = {
    "saferoom-receipt/v1": "owner charters features approvals agreement consent endorsement release"
    " salt proof answer",
    "saferoom-row-receipt/v1": f"{GROUNDS} consent row_salt when record path",
    "saferoom-batch-receipt/v1": f"{GROUNDS} secret chunks",
}
TRUTHS = {0: "no", 1: "yes", 2: "not_found"}
ROW_REFUSALS = (
    *("NO_CONSENT", "CONSENT_USED_UP", "OVER_BUDGET", "ROW_REPEATED", "WITHHELD", "PAUSED"),
    *("EXPIRED", "NOT_APPROVED", "CERTIFICATE_MISMATCH", "NO_AGREEMENT", "WRONG_PURPOSE"),
    *("OFF_GRID", "OFF_DOMAIN"),
)
"""Why a row was refused; the first has the code 64."""
ROW_SHARED = 16
"""The code of a row that was answered by a share: the last 16 bytes of its record."""
ROW_BANDS = {ROW_SHARED + number: f"band {number}" for number in range(1, 9)}
"""The codes of rows that were answered by the band of a score."""
ROW_REASONED = {2 * ROW_SHARED + number: f"band {number}" for number in range(1, 9)}
"""The codes of those with reasons, which are the last 8 bytes of the record."""
SHARE_MODULUS = (1 << 128) - 159
"""Shares are added modulo this prime: 0 is yes, all else is no."""
CHUNK_ROWS = 4096
MOST = (1 << 63) - 1  # leaves of a log
PRIME = (1 << 255) - 19
ORDER_8 = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8}
"""Ed25519 keys that one signature fits for many messages; nobody honest has one."""


class Wrong(Exception):
    """Something in the receipt does not verify; says what."""


def wrong(what: str) -> NoReturn:
    """Refuse the receipt."""
    raise Wrong(what)


def require(condition: bool, what: str) -> None:
    """Refuse the receipt unless something is so."""
    if not condition:
        wrong(what)


# ------------------------------------------------------------------ reading, strictly


def strict_json(data: bytes, what: str) -> Doc:
    """Read one JSON object in which no key stands twice and no number is a fraction."""

    def pairs(items: list[tuple[str, object]]) -> Doc:
        made = dict(items)
        require(len(made) == len(items), f"{what}: a key stands twice")
        return made

    def refuse(number: str) -> NoReturn:
        wrong(f"{what}: {number} is no whole number")

    try:
        text = data.decode("utf-8")
        read = cast(
            "object",
            json.loads(text, object_pairs_hook=pairs, parse_float=refuse, parse_constant=refuse),
        )
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{what}: not JSON in UTF-8") from error
    return as_doc(read, what)


def as_doc(value: object, what: str) -> Doc:
    """Take a value as a JSON object."""
    require(isinstance(value, dict), f"{what}: not an object")
    return cast("Doc", value)


def as_list(value: object, what: str) -> list[object]:
    """Take a value as a JSON array."""
    require(isinstance(value, list), f"{what}: not a list")
    return cast("list[object]", value)


def text(doc: Doc, field: str) -> str:
    """Give a field that is a text."""
    value = doc.get(field)
    return value if isinstance(value, str) else wrong(f"{field}: not a text")


def maybe(doc: Doc, field: str) -> str | None:
    """Give a field that is a text or null."""
    return None if doc.get(field, "") is None else text(doc, field)


def count(doc: Doc, field: str) -> int:
    """Give a field that is a whole number from 0 on."""
    value = doc.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        wrong(f"{field}: not a number")
    return value


def flag(doc: Doc, field: str) -> bool:
    """Give a field that is true or false."""
    value = doc.get(field)
    return value if isinstance(value, bool) else wrong(f"{field}: not true or false")


def many(doc: Doc, field: str) -> list[object]:
    """Give a field that is a list."""
    value = doc.get(field)
    require(isinstance(value, list), f"{field}: not a list")
    return cast("list[object]", value)


def texts(doc: Doc, field: str) -> list[str]:
    """Give a field that is a list of texts."""
    return [
        one if isinstance(one, str) else wrong(f"{field}: not texts") for one in many(doc, field)
    ]


def docs(doc: Doc, field: str) -> list[Doc]:
    """Give a field that is a list of objects."""
    return [as_doc(one, field) for one in many(doc, field)]


def exactly(doc: Doc, fields: str, what: str, *, ordered: bool = False) -> None:
    """Refuse an object that has other fields, or has them in another order."""
    named, held = fields.split(), list(doc)
    require(held == named if ordered else sorted(held) == sorted(named), f"{what}: other fields")


def b64(encoded: str, what: str) -> bytes:
    """Read base64 in its one form (RFC 4648 section 4)."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise Wrong(f"{what}: not base64") from error
    require(base64.b64encode(data).decode() == encoded, f"{what}: base64 in another form")
    return data


def instant(doc: Doc, field: str) -> datetime:
    """Give a field that is an instant: UTC, in milliseconds."""
    written = text(doc, field)
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
    require(re.fullmatch(form, written, re.ASCII) is not None, f"{field}: not an instant")
    try:
        return datetime.fromisoformat(written)
    except ValueError as error:
        raise Wrong(f"{field}: no such instant") from error


def digest_bytes(digest: str | None, what: str) -> bytes:
    """Give the 32 bytes that a `sha256:` digest names."""
    require(
        digest is not None and re.fullmatch("sha256:[0-9a-f]{64}", digest) is not None,
        f"{what}: not a digest",
    )
    return bytes.fromhex((digest or "")[7:])


# ------------------------------------------------------------------ keys, statements, the log


GUOMI = (
    "of a room of the suite guomi (SM2, SM3), which this file alone does not verify: "
    "pip install 'saferoom[guomi]', then saferoom receipt verify"
)


@dataclass(frozen=True)
class Key:
    """An Ed25519 public key, and the id under which signatures name it."""

    raw: bytes

    def __post_init__(self) -> None:
        require(len(self.raw) != 65, GUOMI)
        require(len(self.raw) == 32, "a public key has 32 bytes")
        y = int.from_bytes(self.raw, "little") & ~(1 << 255)
        require(y < PRIME and y not in SMALL_ORDER, "a key that nobody honest has")

    @property
    def keyid(self) -> str:
        """The id: SHA-256 of the key, its first half."""
        return "ed25519:" + hashlib.sha256(self.raw).hexdigest()[:32]

    def check(self, signature: bytes, message: bytes, what: str) -> None:
        """Refuse unless this key signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature as error:
            raise Wrong(f"{what}: the signature is not by {self.keyid}") from error


@dataclass(frozen=True)
class Statement:
    """A DSSE envelope that was read: what it says, what was signed, its digest, its signatures."""

    kind: str
    says: Doc
    signed: bytes
    digest: str
    signatures: tuple[tuple[str, bytes], ...]

    def require_signed(self, keys: Sequence[Key], least: int = 1) -> None:
        """Refuse unless as many of the keys signed; a false signature of theirs is refused too."""
        known, good = {key.keyid: key for key in keys}, set[str]()
        for keyid, signature in self.signatures:
            if keyid in known:
                known[keyid].check(signature, self.signed, self.kind)
                good.add(keyid)
        require(1 <= least <= len(good), f"{self.kind}: {len(good)} of {least} signatures")


def read_statement(written: str, *kinds: str) -> Statement:
    """Read an envelope of one of some kinds; its payload must be in its kind's one encoding."""
    what = " or ".join(kinds)
    envelope = strict_json(written.encode("utf-8", "surrogatepass"), what)
    exactly(envelope, "payload payloadType signatures", what)
    payload, named = b64(text(envelope, "payload"), what), text(envelope, "payloadType")
    types = {f"application/vnd.saferoom.{kind}.v1+json": kind for kind in kinds}
    require(not named.endswith(";suite=guomi"), GUOMI)
    kind = types.get(named) or wrong(f"{what}: is of the type {named!r}")
    signatures: list[tuple[str, bytes]] = []
    for one in docs(envelope, "signatures"):
        exactly(one, "keyid sig", what)
        keyid = text(one, "keyid")
        require(re.fullmatch("[!-~]{1,128}", keyid) is not None, f"{what}: no id of a key")
        signatures.append((keyid, b64(text(one, "sig"), what)))
    require(len(dict(signatures)) == len(signatures) > 0, f"{what}: no signature, or a key twice")
    says = strict_json(payload, kind)
    later = LATER.get(kind, "")
    fields = KINDS[kind] if says.get(later) is None else f"{KINDS[kind]} {later}"
    if kind == "template" and says.get("kind") == "Score":
        fields = KINDS["template of scores"]
    exactly(says, fields, kind, ordered=True)
    compact = json.dumps(says, ensure_ascii=False, separators=(",", ":"))
    require(compact.encode("utf-8", "surrogatepass") == payload, f"{kind}: in another encoding")
    signed = pae(named, payload)
    digest = "sha256:" + hashlib.sha256(signed).hexdigest()
    return Statement(kind, says, signed, digest, tuple(signatures))


def pae(named: str, payload: bytes) -> bytes:
    """Write what a signature covers (DSSE's pre-authentication encoding)."""
    return b"DSSEv1 %d %b %d %b" % (len(named.encode()), named.encode(), len(payload), payload)


def node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees (RFC 9162)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Climb from a leaf's hash to the root of its tree, as the tree's own division goes."""
    require(0 <= index < size, f"no leaf {index} in a tree of {size}")
    if size == 1:
        require(not path, "a proof that is too long")
        return leaf
    require(bool(path) and len(path[-1]) == 32, "a proof that is too short")
    middle = 1 << ((size - 1).bit_length() - 1)
    if index < middle:
        return node(root_from(leaf, index, middle, path[:-1]), path[-1])
    return node(path[-1], root_from(leaf, index - middle, size - middle, path[:-1]))


def root_of(leaves: list[bytes]) -> bytes:
    """Hash a whole tree; a last node without a neighbour goes up as it is."""
    require(bool(leaves), "a tree without leaves")
    while len(leaves) > 1:
        above = [node(*pair) for pair in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = above + leaves[len(above) * 2 :]
    return leaves[0]


def require_logged(statement: Statement, salt: bytes, proof: str, trust: Trust) -> tuple[int, int]:
    """Refuse unless a statement stands in the log; gives its entry and the log's size."""
    require(len(salt) == 32, "an entry's salt has 32 bytes")
    commitment = hmac.digest(salt, statement.digest.encode(), "sha256")
    entry = b"saferoom entry v1\n" + base64.b64encode(commitment) + b"\n"
    head, _, note = proof.partition("\n\n")
    header, *lines = head.split("\n")
    require(header == "c2sp.org/tlog-proof@v1" and bool(lines), "proof: not a tlog-proof")
    if lines[0].startswith("extra "):
        require(bool(b64(lines.pop(0)[6:], "proof")) and bool(lines), "proof: not a tlog-proof")
    index = decimal(lines[0].removeprefix("index ")) if lines[0][:6] == "index " else wrong("proof")
    size, root = read_checkpoint(note, trust)
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    path = [b64(line, "proof") for line in lines[1:]]
    require(root_from(leaf, index, size, path) == root, "proof: does not lead to the signed root")
    return index, size


def read_checkpoint(note: str, trust: Trust) -> tuple[int, bytes]:
    """Read a signed note: the log's own signature on its size and root (others are passed over)."""
    body, blank, signed = note.rpartition("\n\n")
    require(bool(blank) and signed.endswith("\n"), "checkpoint: not a signed note")
    require(all(char >= " " or char == "\n" for char in note), "checkpoint: a hidden character")
    message, keys = (body + "\n").encode("utf-8", "surrogatepass"), trust.log_keys()
    signed_by: list[int] = []
    lines = signed[:-1].split("\n")
    require(len(lines) <= 17, "checkpoint: too many signatures")
    for line in lines:
        match = re.fullmatch("\u2014 ([^\\s+]+) ([A-Za-z0-9+/=]+)", line) or wrong("checkpoint")
        blob = b64(match[2], "checkpoint")
        require(len(blob) > 4, "checkpoint: an empty signature")
        if match[1] == trust.origin and blob[:4] in keys:
            key, most = keys[blob[:4]]
            key.check(blob[4:], message, "checkpoint")
            signed_by.append(most)
    require(bool(signed_by), "checkpoint: not signed by the pinned key of the log")
    origin, size, root, *more = body.split("\n") if body.count("\n") > 1 else wrong("checkpoint")
    require(origin == trust.origin and all(more), "checkpoint: of another log")
    require(len(b64(root, "checkpoint")) == 32, "checkpoint: no root")
    late = decimal(size) > max(signed_by)
    require(not late, "checkpoint: signed by a former key of the log, after its time")
    return decimal(size), b64(root, "checkpoint")


def decimal(digits: str) -> int:
    """Read a whole number in its one form."""
    require(re.fullmatch("0|[1-9][0-9]{0,18}", digits, re.ASCII) is not None, "not a number")
    return int(digits)


@dataclass(frozen=True)
class Trust:
    """What the reader pinned: the room's name, its log's key, the owners' roots."""

    origin: str
    ledger_key: Key
    roots: dict[str, Key]
    former: tuple[tuple[Key, int], ...] = ()
    """Former keys of the log, each with the size of the largest log that it signed alone."""
    charters: frozenset[tuple[str, str]] = frozenset()
    """Owners, and the digests of the charters that their former roots signed."""

    @classmethod
    def read(cls, data: bytes) -> Trust:
        """Read the file of pinned keys."""
        doc = strict_json(data, "trust")
        former = as_list(doc.pop("former_ledger_keys", []), "former_ledger_keys")
        earlier = as_doc(doc.pop("former_charter_roots", {}), "former_charter_roots")
        charters = frozenset(
            (owner, digest) for owner in earlier for digest in cls._charters(earlier, owner)
        )
        exactly(doc, "origin ledger_key charter_roots", "trust")
        pinned = as_doc(doc["charter_roots"], "charter_roots")
        roots = {owner: Key(b64(text(pinned, owner), "trust")) for owner in pinned}
        key = Key(b64(text(doc, "ledger_key"), "trust"))
        return cls(text(doc, "origin"), key, roots, tuple(map(cls._former, former)), charters)

    @staticmethod
    def _charters(earlier: Doc, owner: str) -> list[str]:
        for one in docs(earlier, owner):
            exactly(one, "root charters handover", "former_charter_roots")
        return [digest for one in docs(earlier, owner) for digest in texts(one, "charters")]

    @staticmethod
    def _former(held: object) -> tuple[Key, int]:
        doc = as_doc(held, "former_ledger_keys")
        exactly(doc, "key size", "former_ledger_keys")
        size = doc["size"]
        fits = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        require(fits, "former_ledger_keys: size is no number")
        return Key(b64(text(doc, "key"), "trust")), cast("int", size)

    def log_keys(self) -> dict[bytes, tuple[Key, int]]:
        """Give the keys of the log by their ids, each with the largest size it may sign."""
        name, known = self.origin.encode() + b"\n\x01", [*self.former, (self.ledger_key, MOST)]
        return {hashlib.sha256(name + each[0].raw).digest()[:4]: each for each in known}


# ------------------------------------------------------------------ who may say what


@dataclass(frozen=True)
class Charter:
    """An owner's charter, verified under its pinned root."""

    statement: Statement

    @property
    def says(self) -> Doc:
        """What it says."""
        return self.statement.says

    def keys(self, field: str, name: str | None = None) -> list[Key]:
        """Give the keys that it names: of all approvers, or of one."""
        named = [one for one in docs(self.says, field) if name in (None, one.get("name"))]
        return [Key(b64(text(one, "key"), field)) for one in named]

    def certified(self, der: bytes) -> tuple[str, Key, x509.Certificate]:
        """Verify an X.509 certificate: issued by one of the charter's issuers, naming one URI."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (ValueError, x509.InvalidVersion, x509.ExtensionNotFound, UnsupportedAlgorithm) as e:
            raise Wrong("certificate: cannot be read") from e
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        require(len(uris) == 1, "certificate: names not exactly one")
        issuers = [text(one, "certificate") for one in docs(self.says, "issuers")]
        require(any(issued(certificate, pem) for pem in issuers), "certificate: by another issuer")
        key = certificate.public_key()
        if not isinstance(key, Ed25519PublicKey):
            wrong("certificate: of another kind of key")
        return uris[0], Key(key.public_bytes_raw()), certificate


def issued(certificate: x509.Certificate, issuer_pem: str) -> bool:
    """Tell whether an issuer made a certificate, for a time in which it is one itself."""
    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return certificate.not_valid_after_utc <= issuer.not_valid_after_utc


def live(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether a certificate is in force."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def within(says: Doc, now: datetime, first: str = "valid_from", last: str = "valid_to") -> bool:
    """Tell whether an instant lies in a statement's validity."""
    return instant(says, first) <= now < instant(says, last)


def read_charter(written: str, owner: str, trust: Trust, holder: Doc | None = None) -> Charter:
    """Read a charter and verify it under the owner's pinned root, one before, or one it led to.

    The holder is the part of a receipt that it stands in, with what leads on from a root.
    """
    charter = read_statement(written, "charter")
    pinned = trust.roots.get(owner) or wrong(f"no pinned charter root for {owner}")
    says, named = charter.says, Key(b64(text(charter.says, "root"), "charter"))
    require((says["owner"], says["room"]) == (owner, trust.origin), "charter: of another")
    if (owner, charter.digest) not in trust.charters:
        handovers = texts(holder, "handovers") if holder and "handovers" in holder else []
        root = led_to(pinned, charter, handovers, named)
        require(named == root, "charter: under another root")
    charter.require_signed([named])
    return Charter(charter)


def led_to(root: Key, charter: Statement, handovers: list[str], named: Key) -> Key:
    """Follow the handovers in a receipt from a pinned root, as far as to a charter's."""
    for written in handovers:
        if root == named:
            break
        handover = read_statement(written, "root-handover")
        says, owned = handover.says, ("owner", "room")
        same = all(says[field] == charter.says[field] for field in owned)
        require(same, "root handover: of another owner or room")
        roots = [Key(b64(text(says, field), "root")) for field in ("former", "following")]
        require(roots[0] != roots[1], "root handover: to itself")
        handover.require_signed(roots, 2)
        if roots[0] == root and count(says, "version") <= count(charter.says, "version"):
            root = roots[1]
    return root


def chain_of_charters(part: Doc, owner: str, trust: Trust) -> Charter:
    """Follow charters from the first to the one in force; each names the one before it."""
    charters = [read_charter(one, owner, trust, part) for one in texts(part, "charters")]
    require(bool(charters), "no charter")
    for before, after in pairwise(charters):
        follows = (count(before.says, "version") + 1, before.statement.digest)
        named = (count(after.says, "version"), after.says["previous"])
        require(named == follows, "charter: does not follow the one before it")
    return charters[-1]


def require_enclave(word: Statement, written: str, charter: Charter) -> Doc:
    """Verify that an enclave which the owner's key agent endorsed said something; gives who."""
    endorsement = read_statement(written, "endorsement")
    says, now = endorsement.says, instant(word.says, "time")
    endorsement.require_signed([Key(b64(text(charter.says, "key_agent"), "charter"))])
    owned = (charter.says["owner"], charter.says["room"])
    require((says["owner"], says["room"]) == owned, "endorsement: of another owner")
    require(says["charter"] == charter.statement.digest, "endorsement: under another charter")
    level = count(charter.says, "min_sandbox_level")
    require(count(says, "sandbox_level") >= level, "endorsement: the sandbox is too weak")
    require(within(says, now), "endorsement: not in force")
    require((word.says["owner"], word.says["room"]) == owned, "another owner's word")
    require(word.says["endorsement"] == endorsement.digest, "said under another endorsement")
    word.require_signed([Key(b64(text(says, "identity"), "endorsement"))])
    return says


def read_agreement(written: str, charter: Charter, request: Statement, now: datetime) -> Statement:
    """Verify an agreement by both sides, and that one of its keys asked the question."""
    agreement = read_statement(written, "agreement")
    says, asked = agreement.says, request.says
    owned = (charter.says["owner"], charter.says["room"])
    require((says["owner"], says["room"]) == owned, "agreement: of another owner")
    agreement.require_signed(charter.keys("approvers"), count(charter.says, "threshold"))
    keys: list[tuple[Key, x509.Certificate]] = []
    for one in docs(says, "keys"):
        uri, key, certificate = charter.certified(b64(text(one, "certificate"), "agreement"))
        member = uri.startswith(f"urn:saferoom:org:{text(says, 'institution')}:")
        require(member, "agreement: a key of another institution")
        keys.append((key, certificate))
    agreement.require_signed([key for key, _ in keys])
    parties = (asked["institution"], asked["room"])
    require(parties == (says["institution"], says["room"]), "agreement: of another institution")
    request.require_signed([key for key, certificate in keys if live(certificate, now)])
    require(text(asked, "purpose") in texts(says, "purposes"), "agreement: not for that purpose")
    return agreement


def require_approved(
    written: list[str], named: list[str], charter: Charter, certificate: str, template: str
) -> None:
    """Verify m of n approvals of this very template and certificate, and that these are named."""
    good: dict[str, str] = {}
    for one in (read_statement(each, "approval") for each in written):
        about = (one.says["template"], one.says["certificate"], one.says["charter"])
        if about != (template, certificate, charter.statement.digest):
            continue
        try:
            owned = (one.says["owner"], one.says["room"])
            require(owned == (charter.says["owner"], charter.says["room"]), "approval: another's")
            keys = charter.keys("approvers", text(one.says, "approver"))
            one.require_signed(keys)
        except Wrong:
            continue  # it does not count
        good.setdefault(keys[0].keyid, one.digest)
    least = count(charter.says, "threshold")
    require(len(good) >= least, f"approval: {len(good)} of {least}")
    require(sorted(good.values()) == named, "approval: others than the enclave named")


def require_consented(
    written: str | None, charter: Charter, asked: Doc, features: list[Statement], now: datetime
) -> str:
    """Verify that the subject let this institution ask this, then; gives the consent's digest."""
    consent = read_statement(written or wrong("consent: missing"), "consent")
    says, paper = consent.says, consent.says["paper"]
    uri, key, certificate = charter.certified(b64(text(says, "certificate"), "consent"))
    require(live(certificate, now), "consent: its signer's certificate was not in force")
    consent.require_signed([key])
    if uri.startswith("urn:saferoom:subject:"):
        own = uri == f"urn:saferoom:subject:{text(says, 'subject')}" and paper is None
        require(own, "consent: signed by another subject")
    else:
        registrar = uri.removeprefix("urn:saferoom:org:").partition(":")[0]
        require(registrar in texts(charter.says, "registrars"), "consent: by no registrar")
        require(as_doc(paper, "paper").get("registrar") == registrar, "consent: of another's paper")
    about = (says["room"], says["subject"], says["institution"])
    require(about == (asked["room"], asked["subject"], asked["institution"]), "consent: another's")
    require(charter.says["room"] == says["room"], "consent: of another room")
    require(asked["purpose"] in texts(says, "purposes"), "consent: for another purpose")
    require(within(says, now), "consent: not in force")
    types = set(texts(says, "information_types"))
    for feature in features:
        own_types = set(texts(feature.says, "information_types"))
        by_type = bool(own_types) and own_types <= types
        named = full_name(feature) in texts(says, "features")
        require(named or by_type, f"consent: does not cover {full_name(feature)}")
    return consent.digest


# ------------------------------------------------------------------ what was asked


def full_name(feature: Statement) -> str:
    """Give a feature's full name."""
    return f"{text(feature.says, 'owner')}.{text(feature.says, 'name')}"


@dataclass(frozen=True)
class Asked:
    """A question, its template, and the release certificate that says what may come of it."""

    request: Statement
    template: Statement
    certificate: Doc
    certificate_digest: str

    @property
    def shared(self) -> bool:
        """Whether each owner gives a share, and only all shares together an answer."""
        return self.certificate["returns"] == "conjunction" or self.bands is not None

    @property
    def bands(self) -> int | None:
        """How many bands the sum of several owners' score has; none of anything else."""
        score = scored(self.template)
        if score is None or score.get("job") is None:
            return None
        return len(docs(self.certificate, "parts")) * len(texts(score, "edges")) + 1

    def require_pinned(self, charter: Charter) -> None:
        """Refuse an answer under another charter than the one that its shares rest on."""
        pinned = maybe(self.part(text(charter.says, "owner")), "charter")
        require(pinned in (None, charter.statement.digest), "answered under another charter")

    def part(self, owner: str) -> Doc:
        """Give one owner's part of the certificate."""
        found = [one for one in docs(self.certificate, "parts") if one.get("owner") == owner]
        return found[0] if len(found) == 1 else wrong(f"certificate: no one part of {owner}")

    def require_word(self, word: Statement, charter: Charter) -> None:
        """Refuse an enclave's word that is about another question."""
        says, asked = word.says, self.request.says
        about = (says["request"], says["institution"], says["template"], says["certificate"])
        named = (self.request.digest, asked["institution"], asked["template"])
        require(about == (*named, self.certificate_digest), "the word is about another question")
        require(says["charter"] == charter.statement.digest, "the word names another charter")


def scored(template: Statement) -> Doc | None:
    """Give what a template scores; none of a check."""
    if template.says.get("kind") != "Score":
        return None
    return as_doc(template.says["score"], "score")


def require_scored(part: Doc, score: Doc) -> None:
    """Refuse a certificate that says of a score what its template does not."""
    told = as_doc(part.get("score"), "certificate: of a score")
    same = ("model", "job", "edges", "askers", "reasons")
    require([told.get(one) for one in same] == [score.get(one) for one in same], "another score")
    require(1 <= len(texts(score, "edges")) <= 7, "another number of bands than a score has")


def read_asked(receipt: Doc, kind: str, trust: Trust) -> Asked:
    """Read the question, and check that template, certificate and parts belong to it."""
    request = read_statement(text(receipt, "request"), kind)
    template = read_statement(text(receipt, "template"), "template")
    payload = text(receipt, "certificate").encode("utf-8", "surrogatepass")
    certificate = strict_json(payload, "certificate")
    exactly(certificate, KINDS["release-certificate"], "certificate", ordered=True)
    signed = pae("application/vnd.saferoom.release-certificate.v1+json", payload)
    digest = "sha256:" + hashlib.sha256(signed).hexdigest()
    asked = request.says
    require(asked["room"] == trust.origin, "a receipt of another room")
    require(template.says["room"] == certificate["room"] == asked["room"], "template: another room")
    named = (asked["template"], asked["certificate"], certificate["template"])
    require(
        named == (template.digest, digest, template.digest), "the request names another template"
    )
    require(certificate["purposes"] == template.says["purposes"], "certificate: other purposes")
    require(certificate["returns"] == template.says["returns"], "certificate: returns otherwise")
    pinned = [maybe(part, "charter") is not None for part in docs(certificate, "parts")]
    score = scored(template)
    shared = certificate["returns"] == "conjunction" or (score is not None and len(pinned) > 1)
    right = all(pinned) and len(pinned) > 1 if shared else not any(pinned)
    require(right, "certificate: wrong about the charters that shares rest on")
    owners = [text(part, "owner") for part in docs(certificate, "parts")]
    held = sorted(text(part, "owner") for part in docs(receipt, "parts"))
    require(held == owners, "a part is missing, or one too many")
    if score is None:
        outside = re.sub(r"'(?:[^']|'')*'", "''", text(template.says, "check").lower())
        spoken = set(re.findall(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", outside))
    else:
        spoken = set(texts(score, "features"))
        named = (score.get("job") is not None) == (len(owners) > 1)
        require(named, "certificate: a score of several owners names its job, and no other")
        for part in docs(certificate, "parts"):
            require_scored(part, score)
    used = [
        text(use, "feature")
        for part in docs(certificate, "parts")
        for use in docs(part, "features")
    ]
    require(sorted(used) == sorted(spoken), "certificate: other features than the formula's")
    return Asked(request, template, certificate, digest)


def read_features(part: Doc, charter: Charter, certified: Doc) -> list[Statement]:
    """Verify the owner's features, and that the certificate says of them what they say."""
    features = [read_statement(one, "feature") for one in texts(part, "features")]
    uses = {text(use, "digest"): use for use in docs(certified, "features")}
    held = sorted(feature.digest for feature in features)
    require(
        held == sorted(uses) and len(held) == len(docs(certified, "features")), "other features"
    )
    for feature in features:
        says, use = feature.says, uses[feature.digest]
        owned = (charter.says["owner"], charter.says["room"])
        require((says["owner"], says["room"]) == owned, "feature: of another owner")
        feature.require_signed(charter.keys("approvers"))
        level = count(says, "level")
        told = (use["feature"], use["level"], use["family"], use["charged"])
        derived = (full_name(feature), level, says["family"], level >= 2)
        require(told == derived and level <= 3, "certificate: not what the feature says")
    personal = any(count(feature.says, "level") >= 2 for feature in features)
    require(flag(certified, "needs_consent") == personal, "certificate: wrong about consent")
    # A record that a provider was asked for can come as nobody can use it.
    silent = any(each.says["absent"] == "unknown" or "source" in each.says for each in features)
    silent = silent and maybe(certified, "charter") is None  # a share tells of no silence
    answers, fewest = count(certified, "answers"), 2
    if "score" in certified:
        score = as_doc(certified["score"], "certificate")
        require(answers == 0, "certificate: wrong about its answers")
        sets = sum(math.comb(len(features), at) for at in range(reasons_in(score) + 1))
        require(score.get("sets", 1) == sets, "certificate: wrong about its reasons")
        answers, fewest = count(score, "answers"), (len(texts(score, "edges")) + 1) * sets
    require(answers == fewest + silent, "certificate: wrong about its answers")
    return features


def reasons_in(score: Doc) -> int:
    """Give the most features that stand beside a score's band."""
    return count(score, "reasons") if "reasons" in score else 0


def open_answer(data: bytes, shared: bool, certified: Doc) -> tuple[str | int, int | None]:
    """Read an opened answer, a band of a score, or a share of a whole: 50 bytes.

    With the band stand its reasons, a bit for each feature, if the score tells any.
    """
    score = certified.get("score")
    reasoned = score is not None and reasons_in(as_doc(score, "certificate")) > 0
    kind = 2 if shared else 1 if score is None else 5 if reasoned else 3
    require(len(data) == 50 and data[:2] == bytes([1, kind]), "answer: of another form")
    if shared:
        return share(data[2:18]), None
    number = int.from_bytes(data[2:18], "big")
    if score is not None:
        lost, band = divmod(number, 1 << 64)
        require(bool(band) or not lost, "answer: reasons of nobody's band")
        told, named = (f"band {band}", lost if reasoned else None) if band else ("not_found", None)
        require(reasoned or not lost, "answer: no such band")
        require_possible(told, named, certified)
        return told, named
    return TRUTHS.get(number) or wrong("answer: none of the three"), None


def require_possible(outcome: str | int, lost: int | None, certified: Doc) -> None:
    """Refuse an answer that its template does not have."""
    if isinstance(outcome, int):
        return  # it tells of nothing alone
    if "score" not in certified:
        require(outcome not in ROW_BANDS.values(), "a band answers no check")
        return
    score = as_doc(certified["score"], "certificate")
    bands, most = len(texts(score, "edges")) + 1, reasons_in(score)
    features = len(docs(certified, "features"))
    sets = sum(math.comb(features, at) for at in range(most + 1))
    told = {f"band {number}" for number in range(1, bands + 1)}
    told |= {"not_found"} if count(score, "answers") > bands * sets else set()
    require(outcome in told, "answer: no such band")
    if outcome != "not_found":
        require((lost is not None) == (most > 0), "answer: reasons, or none, out of place")
        named = (lost or 0).bit_count()
        require(named <= most and (lost or 0) < 1 << features, "answer: no such reasons")


def share(data: bytes) -> int:
    """Read a share: a number below the modulus."""
    number = int.from_bytes(data, "big")
    return number if number < SHARE_MODULUS else wrong("answer: no share")


def fold(answers: list[str | int | None], bands: int | None) -> str | None:
    """Fold the owners' answers with AND, or add their shares; none if any refused.

    Of a score of several owners the shares add up to the band of the sum, from 0 on.
    """
    if None in answers:
        return None
    shares = [answer for answer in answers if isinstance(answer, int)]
    if shares:
        require(len(shares) == len(answers), "shares beside answers")
        total = sum(shares) % SHARE_MODULUS
        if bands is None:
            return "no" if total else "yes"
        require(total < bands, "the shares add up to no band of the score")
        return f"band {total + 1}"
    told = [answer for answer in answers if isinstance(answer, str)]
    if len(told) == 1:
        return told[0]
    return "no" if "no" in answers else "not_found" if "not_found" in answers else "yes"


# ------------------------------------------------------------------ the four files

Told = dict[str, object]
"""What a receipt shows, for people and programs."""


def verify_check(receipt: Doc, trust: Trust) -> Told:
    """Verify the receipt of one question, answered or refused."""
    asked = read_asked(receipt, "check-request", trust)
    told: Told = {"about": asked.request.says["subject"]}
    answers: list[str | int | None] = []
    for part in docs(receipt, "parts"):
        owner = text(part, "owner")
        charter = chain_of_charters(part, owner, trust)
        word = read_statement(text(part, "release"), "release")
        says, now = word.says, instant(word.says, "time")
        enclave = require_enclave(word, text(part, "endorsement"), charter)
        asked.require_word(word, charter)
        answered, approvals = one_of(says), texts(part, "approvals")
        agreement = read_agreement(text(part, "agreement"), charter, asked.request, now)
        require(says["agreement"] == agreement.digest, "the word names another agreement")
        features = read_features(part, charter, asked.part(owner))
        if answered:
            window = within(asked.request.says, now, "not_before", "not_after")
            require(window, "answered outside of the question's window")
            require(within(agreement.says, now), "agreement: not in force")
            require_approved(
                *(approvals, texts(says, "approvals"), charter),
                *(asked.certificate_digest, asked.template.digest),
            )
            asked.require_pinned(charter)
            if flag(asked.part(owner), "needs_consent"):
                consent = maybe(part, "consent")
                given = require_consented(consent, charter, asked.request.says, features, now)
                require(says["consent"] == given, "the word names another consent")
        salt = b64(text(part, "salt"), "salt")
        index, size = require_logged(word, salt, text(part, "proof"), trust)
        opened = maybe(part, "answer")
        require((opened is not None) == answered, "an answer is missing, or one too many")
        data = None if opened is None else b64(opened, "answer")
        if data is not None:
            committed = digest_bytes(maybe(says, "answer"), "answer")
            require(hashlib.sha256(data).digest() == committed, "answer: not the one committed to")
        answer, lost = None, None
        if data is not None:
            answer, lost = open_answer(data, asked.shared, asked.part(owner))
        answers.append(answer)
        told[f"{owner} said"] = (
            f"refused, {says['reason']}" if answer is None else said(answer, lost, asked.template)
        )
        told[f"{owner} charged"] = charged(docs(says, "charges"))
        told[f"{owner} store"] = says["store"]
        told[f"{owner} enclave"] = f"{enclave['evidence_kind']}, code {enclave['code']}"
        told[f"{owner} entry"] = f"{index} of a log of {size}"
    return {
        "kind": "check",
        "answer": fold(answers, asked.bands) or "refused",
        **question(asked),
        **told,
    }


def said(answer: str | int, lost: int | None = None, template: Statement | None = None) -> str:
    """Write what an owner said, with the reasons of a score; a share tells nothing alone."""
    if isinstance(answer, int):
        return "a share of the answer"
    score = scored(template) if lost and template is not None else None
    names = [] if score is None else texts(score, "features")
    named = [name for at, name in enumerate(names) if (lost or 0) >> at & 1]
    return f"{answer}, raised most by {', '.join(named)}" if named else answer


def one_of(says: Doc) -> bool:
    """Tell an answer from a refusal; what is neither is refused."""
    require(says["outcome"] in ("answered", "refused"), "an outcome that is none")
    return says["outcome"] == "answered"


def charged(charges: list[Doc]) -> str:
    """Write the cells told apart before and after, feature by feature."""
    return ", ".join(
        f"{text(one, 'feature')} {count(one, 'cells_before')} to {count(one, 'cells_after')} cells"
        for one in charges
    )


def question(asked: Asked) -> Told:
    """Tell what was asked."""
    says, score = asked.request.says, scored(asked.template)
    what = f"the score of {score['model']}" if score else asked.template.says["check"]
    return {
        "asked by": says["institution"],
        "for": says["purpose"],
        "question": f"{asked.template.says['name']}: {what}",
        "with": json.dumps(says["params"], ensure_ascii=False),
        "request": asked.request.digest,
    }


@dataclass(frozen=True)
class Span:
    """Rows that one charter, agreement and set of approvals allowed."""

    says: Doc
    charter: Charter
    agreement: Statement


def verify_word_on_batch(
    part: Doc, asked: Asked, trust: Trust, index: int | None
) -> tuple[Statement, list[Span], list[Statement], tuple[int, int]]:
    """Verify an owner's word on a batch and what the rows (or one of them) rest on."""
    owner, written = text(part, "owner"), texts(part, "charters")
    charters = {
        one.statement.digest: one
        for one in (read_charter(each, owner, trust, part) for each in written)
    }
    word = read_statement(text(part, "release"), "batch-release")
    says = word.says
    charter = charters.get(text(says, "charter")) or wrong("the word's charter is missing")
    require_enclave(word, text(part, "endorsement"), charter)
    asked.require_word(word, charter)
    require(one_of(says), "the batch was refused as a whole")
    spans, rows = docs(says, "spans"), count(asked.request.says, "rows")
    judged = count(says, "answered") + count(says, "refused")
    require(judged == sum(count(span, "rows") for span in spans) == rows, "another number of rows")
    wanted = spans if index is None else [span_of(spans, index)]
    opened, features = list[Span](), list[Statement]()
    for span in wanted:
        under = charters.get(text(span, "charter")) or wrong("a span's charter is missing")
        agreements = [
            one
            for one in texts(part, "agreements")
            if read_statement(one, "agreement").digest == span["agreement"]
        ] or wrong("a span's agreement is missing")
        now = instant(says, "time")
        agreement = read_agreement(agreements[0], under, asked.request, now)
        named = texts(span, "approvals")
        if named:
            held = [
                one
                for one in texts(part, "approvals")
                if read_statement(one, "approval").digest in named
            ]
            require_approved(held, named, under, asked.certificate_digest, asked.template.digest)
            asked.require_pinned(under)
        features = read_features(part, under, asked.part(owner))
        opened.append(Span(span, under, agreement))
    place = require_logged(word, b64(text(part, "salt"), "salt"), text(part, "proof"), trust)
    return word, opened, features, place


def span_of(spans: list[Doc], index: int) -> Doc:
    """Give the span that a row stands in."""
    for span in spans:
        index -= count(span, "rows")
        if index < 0:
            return span
    wrong("the word holds no such row")


def verify_row(receipt: Doc, trust: Trust) -> Told:
    """Verify one row's receipt out of a batch: nothing of the other rows is in it."""
    asked = read_asked(receipt, "batch-request", trust)
    says, index = asked.request.says, count(receipt, "index")
    row, blind = b64(text(receipt, "row"), "row"), b64(text(receipt, "blind"), "blind")
    require(len(row) == 20 and row[:18].isascii(), "not a row")
    require(len(blind) == 16, "not a blind")
    rows, leaf = count(says, "rows"), hashlib.sha256(b"\x00" + blind + row).digest()
    path = [b64(one, "path") for one in texts(receipt, "path")]
    root = root_from(leaf, index, rows, path)
    require(root == digest_bytes(text(says, "root"), "root"), "not a row that was asked about")
    subject, number = row[:18].decode("ascii", "replace"), int.from_bytes(row[18:], "big")
    told: Told = {"about": subject, "row": index}
    answers: list[str | int | None] = []
    for part in docs(receipt, "parts"):
        owner = text(part, "owner")
        word, spans, features, place = verify_word_on_batch(part, asked, trust, index)
        salt, when = b64(text(part, "row_salt"), "row_salt"), b64(text(part, "when"), "when")
        record = b64(text(part, "record"), "record")
        require(len(salt) == 32 and len(when) == 16, "not a row's salt or time")
        outcome, lost, consent, cells = read_record(record)
        given = maybe(part, "consent")
        if given is not None:
            read_statement(given, "consent")
        leaf = outcome_leaf(salt, place_of(asked.request.digest, index), row, when, record)
        path = [b64(one, "path") for one in texts(part, "path")]
        root = digest_bytes(maybe(word.says, "root"), "root")
        require(root_from(leaf, index, rows, path) == root, "not what became of the row")
        now = datetime(1970, 1, 1, tzinfo=UTC)
        now += timedelta(milliseconds=struct.unpack(">QQ", when)[0])
        certified = asked.part(owner)
        names = sorted(text(u, "feature") for u in docs(certified, "features") if u["charged"])
        answered = isinstance(outcome, int) or outcome not in ROW_REFUSALS
        if answered:
            require(isinstance(outcome, int) == asked.shared, "a share, or none, out of place")
            require_possible(outcome, lost, certified)
            require(len(cells) == len(names), "the charges are not those of the certificate")
            require(within(says, now, "not_before", "not_after"), "answered outside of the window")
            require(bool(texts(spans[0].says, "approvals")), "answered without approvals")
            require(within(spans[0].agreement.says, now), "agreement: not in force")
            params = many(says, "params")
            if flag(certified, "needs_consent"):
                require(number < len(params), "a row with parameters that are none")
                about = {**says, "subject": subject}
                charter = spans[0].charter
                covered = require_consented(given, charter, about, features, now)
                require(consent == covered, "another consent than the row's")
        answers.append(outcome if answered else None)
        told[f"{owner} said"] = said(outcome, lost, asked.template)
        pairs = zip(names, cells, strict=False)
        told[f"{owner} charged"] = ", ".join(f"{n} {b} to {a} cells" for n, (b, a) in pairs)
        told[f"{owner} entry"] = f"{place[0]} of a log of {place[1]}"
    return {
        "kind": "row",
        "answer": fold(answers, asked.bands) or "refused",
        **question(asked),
        **told,
    }


def read_record(
    record: bytes,
) -> tuple[str | int, int | None, str | None, list[tuple[int, int]]]:
    """Read what became of a row: outcome or share, reasons, consent, cells before and after."""
    require(len(record) >= 33 and not (len(record) - 33) % 4, "not a record")
    code, consent, rest = record[0], record[1:33], record[33:]
    refused = ROW_REFUSALS[code - 64] if 0 <= code - 64 < len(ROW_REFUSALS) else None
    outcome: str | int
    lost: int | None = None
    if code == ROW_SHARED and len(rest) >= 16:
        outcome, rest = share(rest[-16:]), rest[:-16]
    elif code in ROW_REASONED and len(rest) >= 8:
        outcome, lost, rest = ROW_REASONED[code], int.from_bytes(rest[-8:], "big"), rest[:-8]
    else:
        told = TRUTHS.get(code) or ROW_BANDS.get(code) or refused
        outcome = told or wrong("a record with a code that is none")
    # Zeros: what was not charged, and the place of the share that a refused row does not give.
    pairs = struct.iter_unpack(">HH", rest)
    cells = [(pair[0], pair[1]) for pair in pairs if any(pair)]
    return outcome, lost, f"sha256:{consent.hex()}" if any(consent) else None, cells


def outcome_leaf(salt: bytes, place: bytes, row: bytes, when: bytes, record: bytes) -> bytes:
    """Hash what became of a row."""
    return hashlib.sha256(b"\x00" + salt + place + row + when + record).digest()


def place_of(request: str, index: int) -> bytes:
    """Write a row's place: its batch's request, and its index."""
    return digest_bytes(request, "request") + index.to_bytes(4, "big")


def key_stream(key: bytes, length: int) -> bytes:
    """Give the first bytes of an AES-256 key stream in counter mode."""
    cipher = Cipher(algorithms.AES256(key), modes.CTR(bytes(16)))
    return cipher.encryptor().update(bytes(length))


def verify_batch(receipt: Doc, trust: Trust) -> Told:
    """Verify a whole batch's receipt; the consents are in the receipts of its rows."""
    asked = read_asked(receipt, "batch-request", trust)
    says, data = asked.request.says, b64(text(receipt, "rows"), "rows")
    seed, total = b64(text(receipt, "blinding"), "blinding"), count(says, "rows")
    require(len(data) == 20 * total and len(seed) == 32, "not the rows that were signed")
    rows = [data[at : at + 20] for at in range(0, len(data), 20)]
    blinds = key_stream(seed, 16 * total)
    asked_leaves = [
        hashlib.sha256(b"\x00" + blinds[16 * at : 16 * at + 16] + row).digest()
        for at, row in enumerate(rows)
    ]
    require(
        root_of(asked_leaves) == digest_bytes(text(says, "root"), "root"), "not the signed rows"
    )
    told: Told = {"rows": total}
    for part in docs(receipt, "parts"):
        owner = text(part, "owner")
        word, _, _, entry = verify_word_on_batch(part, asked, trust, None)
        context = b"saferoom batch salts v1\n" + f"{asked.request.digest}\n{owner}".encode()
        secret = b64(text(part, "secret"), "secret")
        require(len(secret) == 32, "a batch's secret has 32 bytes")
        salts = key_stream(HKDF(SHA256(), 32, None, context).derive(secret), 32 * total)
        chunks = [b64(one, "chunks") for one in texts(part, "chunks")]
        require(len(chunks) == -(-total // CHUNK_ROWS), "not one chunk for each part of the rows")
        leaves: list[bytes] = []
        for number, chunk in enumerate(chunks):
            first, held = number * CHUNK_ROWS, rows[number * CHUNK_ROWS : (number + 1) * CHUNK_ROWS]
            width, odd = divmod(len(chunk) - 16, len(held))
            require(width >= 33 and not odd, "not one record for each row")
            for at, row in enumerate(held):
                record = chunk[16 + at * width : 16 + (at + 1) * width]
                salt = salts[32 * (first + at) : 32 * (first + at + 1)]
                place = place_of(asked.request.digest, first + at)
                leaves.append(outcome_leaf(salt, place, row, chunk[:16], record))
        require(
            root_of(leaves) == digest_bytes(maybe(word.says, "root"), "root"), "not the outcomes"
        )
        told[f"{owner} answered"] = word.says["answered"]
        told[f"{owner} refused"] = word.says["refused"]
        told[f"{owner} entry"] = f"{entry[0]} of a log of {entry[1]}"
    return {"kind": "batch", **question(asked), **told}


def verify_use(receipt: Doc, trust: Trust) -> Told:
    """Verify a use's receipt: that a question was asked, and what became of it."""
    word = read_statement(text(receipt, "word"), *ASKED, "disclosure")
    says = word.says
    charter = read_charter(text(receipt, "charter"), text(says, "owner"), trust, receipt)
    require(says["charter"] == charter.statement.digest, "the word names another charter")
    require_enclave(word, text(receipt, "endorsement"), charter)
    place = require_logged(word, b64(text(receipt, "salt"), "salt"), text(receipt, "proof"), trust)
    asked = maybe(receipt, "question")
    told: Told = {"kind": "use", "owner": says["owner"], "time": says["time"]}
    if asked is not None:
        kinds = ASKED.get(word.kind) or wrong("a question too many")
        request = read_statement(asked, *kinds)
        fields = ("institution", "template", "certificate")
        same = all(request.says[field] == says[field] for field in fields)
        require(same, "the word names another asker or template")
        require(request.digest == says["request"], "another question than the word is about")
        nobody = "a list" if request.kind == "list-request" else "a batch"
        told |= {"about": request.says.get("subject", nobody), "for": request.says["purpose"]}
    if word.kind == "disclosure":
        told |= {"about": says["subject"], "outcome": "shown what is held about it"}
    elif word.kind == "cost-estimate":
        told |= {"asked by": says["institution"], "outcome": "told what it would cost"}
    else:
        told |= {"asked by": says["institution"], "outcome": says["outcome"]}
    if receipt.get("row") is not None:
        batch = read_statement(asked or wrong("a row without its batch"), "batch-request")
        told |= verify_shown_row(as_doc(receipt["row"], "row"), batch, word)
    return told | {"entry": f"{place[0]} of a log of {place[1]}"}


def verify_shown_row(shown: Doc, batch: Statement, word: Statement) -> Told:
    """Verify the one row of a batch that its subject is shown, under the enclave's word."""
    exactly(shown, "subject row", "row")
    row = as_doc(shown["row"], "row")
    exactly(row, "index parameters when record salt path", "row")
    says, asked = word.says, batch.says
    require(word.kind == "batch-release" and asked["room"] == says["room"], "another word")
    rows, index, number = count(asked, "rows"), count(row, "index"), count(row, "parameters")
    judged = count(says, "answered") + count(says, "refused")
    require(judged == rows, "a batch whose rows were not judged")
    require(number < len(many(asked, "params")), "a row with parameters that are none")
    subject, salt = text(shown, "subject"), b64(text(row, "salt"), "salt")
    when, record = b64(text(row, "when"), "when"), b64(text(row, "record"), "record")
    form = re.fullmatch("[0-9A-Z]{18}", subject) is not None and len(salt) == 32
    require(form and len(when) == 16, "not a row")
    packed = subject.encode() + number.to_bytes(2, "big")
    leaf = outcome_leaf(salt, place_of(batch.digest, index), packed, when, record)
    path = [b64(one, "path") for one in texts(row, "path")]
    root = digest_bytes(maybe(says, "root"), "root")
    require(root_from(leaf, index, rows, path) == root, "not what became of the row")
    outcome, _, _, _ = read_record(record)
    return {"about": subject, "row": index, "row said": said(outcome)}


ASKED = {
    "release": ("check-request", "list-request"),
    "batch-release": ("batch-request",),
    "cost-estimate": ("cost-request",),
}
"""What an enclave says of a use, and the questions that it answers."""
VERIFIERS: dict[str, Callable[[Doc, Trust], Told]] = {
    "saferoom-receipt/v1": verify_check,
    "saferoom-row-receipt/v1": verify_row,
    "saferoom-batch-receipt/v1": verify_batch,
    "saferoom-use/v1": verify_use,
}
ELSEWHERE = {
    "saferoom-table-receipt/v1": "tables",
    "saferoom-sum-receipt/v1": "tables of several owners together",
    "saferoom-report-receipt/v1": "a report",
    "saferoom-list-receipt/v1": "a page of a list",
    "saferoom-fit-receipt/v1": "a training in the room",
}
"""Receipts that are verified by the client alone."""
VERIFIED = (
    "each charter is signed by the root you pinned, one before it or one that it handed over to",
    "each charter follows the one before it",
    "each enclave's key is endorsed by its owner's key agent, under that charter, in time",
    "each enclave signed its word, about this very question, in the question's window",
    "the question is signed by a key of the agreement, which both sides signed",
    "of an answer: as many approvers as the charter asks signed this template and certificate",
    "of an answer: the subject's consent, where one is needed, covers it",
    "each word stands in the log that the pinned key signed; the answer is the one committed to",
)
NOT_VERIFIED = (
    "that the records behind the answer are true: nobody but their owner sees them",
    "what ran in the enclave, if its evidence is software: only which keys speak for the owner",
    "that nothing had been taken back before: the whole log shows it (saferoom audit verify)",
    "that the certificate reckons the formula's cells rightly: approvers' clients derive it anew",
    "who proposed the template: what counts is that the approvers signed it",
    "of a use: whose key asked, and what allowed it: the asker's own receipt shows that",
    "cosignatures of witnesses on the checkpoint: only the log's own signature",
)


def verify(receipt_json: bytes, trust_json: bytes) -> Told:
    """Verify a receipt file under pinned keys; `Wrong` names the first thing that is not so."""
    trust, receipt = Trust.read(trust_json), strict_json(receipt_json, "receipt")
    named = text(receipt, "format")
    if named in ELSEWHERE:
        wrong(
            f"format: a receipt of {ELSEWHERE[named]}, which this program does not verify; saferoom"
            " does: saferoom receipt verify FILE --trust TRUST"
        )
    check = VERIFIERS.get(named) or wrong("format: not a receipt that this program knows")
    use = named == "saferoom-use/v1"
    exactly(receipt, with_later(FILES[named], receipt, "row handovers" if use else ""), "receipt")
    if named in PARTS:
        for part in docs(receipt, "parts"):
            exactly(part, with_later(PARTS[named], part, "handovers"), "part")
        owners = [text(part, "owner") for part in docs(receipt, "parts")]
        require(len(set(owners)) == len(owners), "two parts of one owner")
    return check(receipt, trust)


def with_later(fields: str, held: Doc, later: str) -> str:
    """Give a file's fields with those that it holds of what stands there only when it is needed."""
    return " ".join([fields, *(field for field in later.split() if field in held)])


def plain(text: object) -> str:
    """Write what a file says so that none moves a cursor or looks like a line of ours."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text)
    )


def main() -> int:
    """Read the command line, verify, and say what was verified and what cannot be."""
    parser = argparse.ArgumentParser(description="Verify a receipt of a data safe room, offline.")
    parser.add_argument("receipt", type=Path, help="the receipt file")
    parser.add_argument("--trust", type=Path, required=True, help="the keys you pinned")
    parser.add_argument("--json", action="store_true", help="print what it shows as JSON")
    options = parser.parse_args()
    try:
        data, pinned = options.receipt.read_bytes(), options.trust.read_bytes()
    except OSError as error:
        sys.stderr.write(f"cannot read {error.filename}: {error.strerror}\n")
        return 2
    try:
        told = verify(data, pinned)
    except Wrong as error:
        sys.stderr.write(f"NOT VERIFIED: {plain(error)}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps({"verified": True, **told}, ensure_ascii=False) + "\n")
        return 0
    shown = [plain(f"{name}: {value}") for name, value in told.items()]
    for title, lines in (
        ("verified", VERIFIED),
        ("cannot be verified from a receipt", NOT_VERIFIED),
        ("it shows", shown),
    ):
        sys.stdout.write(f"{title}:\n" + "".join(f"  {line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
