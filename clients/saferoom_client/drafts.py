"""What people write, in YAML, and what is signed: features, templates, charters and the others.

A draft leaves out what the writer's folder knows (the room, its own organisation, its certificate).
Every fault names the file, the line, the field and the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from saferoom_client.draft_budget import with_budget
from saferoom_client.files import bad_file, read_file
from saferoom_client.profile import Profile
from saferoom_client.yaml_text import Written, read_yaml, write_yaml
from saferoom_proto.certificate import owner_parts
from saferoom_proto.encoding import b64, dump
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import (
    Charter,
    Consent,
    Feature,
    FederationProposal,
    Payload,
    RootHandover,
    Schema,
    Template,
)
from saferoom_proto.statements.base import field_faults, format_instant, fresh_nonce
from saferoom_proto.suite import Suite

P = TypeVar("P", bound=Payload)
Document = dict[str, object]


_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_RULES: Final = {"Extra inputs are not permitted": "unknown key", "Field required": "missing"}
"""What pydantic says in its own terms, in ours."""
FEDERATION_DAYS: Final = timedelta(days=7)
FEDERATION_DEFAULTS: Final = {
    "inverse_ridge": "1",
    "rounds": 12,
    "fewest_rows": 200,
    "wait_seconds": 600,
}
"""What the draft of a federated training may leave out."""
_ASKS: Final = {
    "Check": "check",
    "Aggregate": "aggregate",
    "Training": "training",
    "Report": "report",
    "Score": "score",
    "Fit": "fit",
    "List": "listing",
}
"""Where each kind of template says what it asks."""


def read_feature(path: Path, profile: Profile) -> Feature:
    """Read a feature's draft."""
    return _read(path, Feature, _by_owner(profile))


def read_schema(path: Path, profile: Profile) -> Schema:
    """Read a draft of a store's tables."""
    return _read(path, Schema, _by_owner(profile))


def read_charter(path: Path, room: str, suite: Suite) -> Charter:
    """Read a charter's draft."""
    return _read(path, Charter, {"room": room, "suite": suite})


def read_root_handover(path: Path, room: str) -> RootHandover:
    """Read the draft of a charter root's handover."""
    return _read(path, RootHandover, {"room": room})


def read_template(path: Path, profile: Profile) -> Template:
    """Read a template's draft, and try its formula and parameters."""
    given = {
        "room": profile.card.origin,
        "proposer": profile.member.organisation,
        "signer": b64(profile.signing_certificate),
    }
    return _read(path, Template, given, _try_formula)


def read_consent(path: Path, profile: Profile) -> Consent:
    """Read a consent's draft; each reading makes another consent."""
    given: Document = {
        "room": profile.card.origin,
        "certificate": b64(profile.signing_certificate),
        "nonce": fresh_nonce(),
        "uses": None,
    }
    if profile.member.is_subject:
        given["subject"] = profile.member.organisation
    return _read(path, Consent, given)


def read_federation(path: Path, profile: Profile, now: datetime) -> FederationProposal:
    """Read the draft of a federated training; each reading makes another proposal."""
    given = {
        "room": profile.card.origin,
        "institution": profile.member.organisation,
        "signer": b64(profile.signing_certificate),
        "valid_from": format_instant(now),
        "valid_to": format_instant(now + FEDERATION_DAYS),
        "nonce": fresh_nonce(),
        **FEDERATION_DEFAULTS,
    }
    return _read(path, FederationProposal, given)


def write_draft(payload: Payload) -> str:
    """Write a payload as a draft that reads back as the same payload."""
    return write_yaml(payload.model_dump(mode="json", exclude_defaults=True))


def _by_owner(profile: Profile) -> Document:
    return {"room": profile.card.origin, "owner": profile.member.organisation}


def _accept(payload: Payload) -> None:
    """Have no rule beyond the payload's own."""
    del payload


def _try_formula(template: Template) -> None:
    if template.kind == "Check":
        owner_parts(template)


def _read(
    path: Path,
    kind: type[P],
    given: Mapping[str, object],
    rule: Callable[[P], None] = _accept,
) -> P:
    """Read one draft.

    Args:
        path: the file.
        kind: of the payload.
        given: what a draft may leave out.
        rule: what the payload must also keep.

    Raises:
        SafeRoomError: the faults name file, line, field and rule.
    """
    try:
        text = read_file(path).decode("utf-8")
        written = read_yaml(text)
    except UnicodeDecodeError as error:
        raise bad_file(path, "not UTF-8") from error
    except SafeRoomError as error:
        if error.reason is Reason.BAD_CONFIG:
            raise
        found = error.fields or (FieldFault("", error.detail),)
        faults = [FieldFault(f"{path}: {one.field}".rstrip(": "), one.rule) for one in found]
        raise SafeRoomError(error.reason, f"{path}: {error.detail}", faults) from None
    document = written.document
    if document.get("room", given["room"]) != given["room"]:
        fault = FieldFault("room", f"this folder is a member of {given['room']}")
        raise _faults(Reason.MALFORMED, path, written, [fault])
    if "owner" in given and document.get("owner", given["owner"]) != given["owner"]:
        fault = FieldFault("owner", f"another owner's draft: you are of {given['owner']}")
        raise _faults(Reason.NOT_ALLOWED, path, written, [fault])
    try:
        plain = _plain({**given, **document})
        payload = kind.model_validate_json(dump(with_budget(plain) if kind is Feature else plain))
        rule(payload)
    except ValidationError as error:
        found = field_faults(error)
        if kind is Template and (asks := _ASKS.get(str(document.get("kind")))) not in document:
            found = [one for one in found if one.field != "(whole)"]
            found += [FieldFault(asks, "missing")] if asks else []
        raise _faults(Reason.MALFORMED, path, written, found) from None
    except SafeRoomError as error:
        faults = error.fields or (FieldFault("", error.detail),)
        raise _faults(error.reason, path, written, faults) from None
    return payload


def _plain(document: Document) -> Document:
    """Write out two short forms: a day for its first instant, and `absent: false` as a word."""
    for name in ("valid_from", "valid_to"):
        value = document.get(name)
        if isinstance(value, str) and _DATE.fullmatch(value):
            document[name] = f"{value}T00:00:00Z"
    if document.get("absent") is False:
        document["absent"] = "false"
    return document


def _faults(
    reason: Reason, path: Path, written: Written, faults: tuple[FieldFault, ...] | list[FieldFault]
) -> SafeRoomError:
    # A list is also called too short when an item of it was refused: only the item is told.
    told = [
        one for one in faults if not any(each.field.startswith(f"{one.field}.") for each in faults)
    ]
    placed = [
        FieldFault(_place(path, written.line(one.field), one.field), _RULES.get(one.rule, one.rule))
        for one in told
    ]
    return SafeRoomError(reason, f"{path} is not usable", placed)


def _place(path: Path, line: int, field: str) -> str:
    return f"{path}:{line}: {field}" if field else f"{path}:{line}"
