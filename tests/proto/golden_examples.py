"""One example of every signed format, of keys and values that are always the same.

As a program it prints what this code makes of them, for another process to compare.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal

from saferoom_proto import chain, entry, merkle
from saferoom_proto.answer import Answer, Truth, commitment, seal_info
from saferoom_proto.batch import (
    CODES,
    SHARED,
    BatchKeys,
    JudgedRows,
    Row,
    When,
    asked_leaves,
    secret_info,
)
from saferoom_proto.certificate import ReleaseCertificate, derive_certificate
from saferoom_proto.checkpoint import format_proof
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import b64, dump, sha256_digest
from saferoom_proto.identity import fingerprint, organisation_uri, subject_uri
from saferoom_proto.load import LoadSealer
from saferoom_proto.load_faults import Faults, FaultyRow, faults_info
from saferoom_proto.pinned import pin
from saferoom_proto.reasons import Reason
from saferoom_proto.receipt import Receipt, ReceiptPart
from saferoom_proto.reports.told import Mark
from saferoom_proto.shares import MODULUS, Share
from saferoom_proto.statements import (
    Absent,
    Askers,
    ColumnType,
    Feature,
    FeatureKind,
    Figure,
    Finding,
    FitFigure,
    FitMethod,
    JobOutcome,
    JobStep,
    MeasureKind,
    Outcome,
    Payload,
    PickedBy,
    Purpose,
    Returns,
    TrainingMethod,
    seal_statement,
)
from tests.proto.golden_answers import (
    askers_words,
    enclaves_words,
    prices,
    words_after_a_loss,
    words_on_enclaves,
)
from tests.proto.golden_federation import words_on_federations
from tests.proto.golden_fits import fits_formats, words_on_fits
from tests.proto.golden_jobs import channel_formats, words_on_jobs
from tests.proto.golden_lists import list_statements, lists_formats
from tests.proto.golden_owners import definitions, orders, owners_words
from tests.proto.golden_premises import words_at_the_owner
from tests.proto.golden_reports import report_templates, reports_formats
from tests.proto.golden_scores import scores_formats, scores_statements
from tests.proto.golden_seeds import (
    CERTIFICATE,
    HEADER,
    SUBJECT,
    digest,
    key,
    note,
    public,
    sealing,
    seed,
)
from tests.proto.golden_subjects import subjects_formats, subjects_words
from tests.proto.golden_tables import tables_formats, templates, words_on_tables


def certificate() -> ReleaseCertificate:
    """Derive the template's release certificate."""
    defined = definitions()
    features = pin(seal_statement(each, key("li")) for each in defined.values() if _feature(each))
    return derive_certificate(seal_statement(defined["template"], key("desk")), features)


def _feature(payload: Payload) -> bool:
    return isinstance(payload, Feature)


def payloads() -> dict[str, Payload]:
    """Give one example of every kind of statement, and more of those with several forms."""
    made = definitions() | owners_words() | orders() | askers_words()
    made |= (
        enclaves_words()
        | words_after_a_loss()
        | prices()
        | words_on_enclaves()
        | words_at_the_owner()
    )
    made |= subjects_words() | words_on_jobs() | templates() | words_on_tables()
    made |= words_on_fits() | report_templates() | scores_statements()
    made |= words_on_federations() | list_statements()
    return made | {"release-certificate": certificate()}


def envelope() -> Envelope:
    """Sign a statement with two keys."""
    return seal_statement(owners_words()["agreement"], key("li"), key("wang"))


def receipt() -> Receipt:
    """Make a receipt file; its envelopes are not, since only the form matters here."""
    part = ReceiptPart(
        owner="tax",
        charters=("charter",),
        features=("feature",),
        approvals=("approval",),
        agreement="agreement",
        consent=None,
        endorsement="endorsement",
        release="release",
        salt=b64(seed("salt")),
        proof="proof",
        answer=None,
    )
    return Receipt(request="request", template="template", certificate="{}", parts=(part,))


def batch_row() -> Row:
    """Make a row of a batch."""
    return Row(SUBJECT, 1)


def batch_keys() -> BatchKeys:
    """Make a batch's keys."""
    return BatchKeys(seed("batch secret"), digest("batch request"), "tax")


def batch_leaf() -> bytes:
    """Hash what became of a row: answered, under a consent, for one feature's cells."""
    record = bytes([CODES[Truth.YES]]) + seed("consent") + bytes([0, 1, 0, 3])
    judged = JudgedRows(7, batch_row().to_bytes(), When(1000, 12).to_bytes(), record)
    return judged.leaves(batch_keys().salts(7, 1), digest("batch request"))[0]


def others() -> dict[str, str]:
    """Give every other format that is signed, hashed, sealed or kept."""
    signed, answer = envelope(), Answer(Truth.NOT_FOUND, seed("salt")).to_bytes()
    sealer = LoadSealer(HEADER.digest, seed("content key"))
    row = FaultyRow(table="vat", line=7, column=None, rule="as many fields as the heading")
    committed = entry.commitment(seed("salt"), digest("statement"))
    return {
        "envelope": signed.to_json().decode(),
        "envelope digest": signed.digest,
        "envelope whole": signed.whole,
        "signing key id": key("li").verify_key.keyid,
        "signing public key": public("li"),
        "sealing public key": digest_of(sealing("reply").public),
        "organisation uri": organisation_uri("bank-a", "desk"),
        "subject uri": subject_uri(SUBJECT),
        "certificate fingerprint": fingerprint(CERTIFICATE),
        "certificate digest": certificate().digest,
        "load header digest": HEADER.digest,
        "load piece": b64(sealer.piece(1, 0, b"uscc,amount\n", last=True)),
        "load faults": Faults(rows=(row,), count=3).model_dump_json(),
        "load faults info": faults_info(HEADER.digest).decode(),
        "chain genesis": chain.GENESIS,
        "chain after one": chain.extend(chain.GENESIS, digest("entry")),
        "entry commitment": b64(committed),
        "entry leaf": entry.leaf(committed).decode(),
        "entry leaf hash": b64(merkle.leaf_hash(entry.leaf(committed))),
        "answer": b64(answer),
        "answers": " ".join(
            f"{truth}={Answer(truth, bytes(32)).to_bytes()[:18].hex()}" for truth in Truth
        ),
        "answer commitment": commitment(answer),
        "answer seal info": seal_info(digest("request"), "tax").decode(),
        "batch row": batch_row().to_bytes().hex(),
        "batch asked leaf": asked_leaves(seed("blinding"), batch_row().to_bytes())[0].hex(),
        "batch outcome leaf": batch_leaf().hex(),
        "batch chunk": b64(batch_keys().seal(1, b"chunk")),
        "batch secret info": secret_info(digest("batch request"), "tax").decode(),
        "batch codes": " ".join(f"{outcome}={code}" for outcome, code in CODES.items()),
        "checkpoint": note(),
        "proof": format_proof(1, [seed("node 1"), seed("node 2")], note()),
        "receipt": receipt().to_json().decode(),
        "json": dump({"b": [1, True, None], "a": "税", "c": Decimal("0.5")}).decode(),
        "answer that is a share": Answer(Share(7), seed("salt")).to_bytes().hex(),
        "batch record of a share": f"{SHARED}={Share(MODULUS - 1).to_bytes().hex()}",
        **subjects_formats(),
        **channel_formats(),
        **tables_formats(),
        **reports_formats(),
        **lists_formats(),
        **fits_formats(),
        **scores_formats(),
    }


def digest_of(data: bytes) -> str:
    """Give the digest of bytes that are too long to show."""
    return sha256_digest(data)


def statements(made: Mapping[str, Payload]) -> dict[str, dict[str, str]]:
    """Give each payload's type, bytes and digest."""
    envelopes = {name: seal_statement(payload, key("li")) for name, payload in made.items()}
    return {
        name: {
            "type": each.payload_type,
            "payload": each.payload.decode(),
            "digest": each.digest,
        }
        for name, each in envelopes.items()
    }


def words() -> dict[str, list[str]]:
    """Give the words of every closed list that stands in a statement."""
    lists: Iterable[Iterable[str]] = (
        Reason, Purpose, ColumnType, FeatureKind, Absent, Outcome, Returns, Truth, Finding,
        Figure, TrainingMethod, JobOutcome, JobStep, MeasureKind, Mark, Askers,
        FitMethod, FitFigure, PickedBy,
    )  # fmt: skip
    return {getattr(each, "__name__", ""): [str(word) for word in each] for each in lists}


def document() -> dict[str, object]:
    """Give everything that is frozen."""
    return {"statements": statements(payloads()), "others": others(), "words": words()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), ensure_ascii=False, indent=1) + "\n")
