"""What changed between a template that was approved and the one that is proposed now.

Told twice: in words, field by field and for each feature; and in lines of the signed payload, of
which none is left out. Letters that look like others are written out by their code, so that two
lines that look alike and are not show it.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from typing import cast

from saferoom_proto.certificate import OwnerPart, ReleaseCertificate
from saferoom_proto.dsse import Envelope
from saferoom_proto.encoding import sha256_digest, unb64
from saferoom_proto.statements import Feature, Template, load
from saferoom_proto.statements.base import Part

Features = dict[str, Feature]
"""Features by the digests under which certificates name them."""


def in_words(
    before: Template,
    now: Template,
    certificates: tuple[ReleaseCertificate, ReleaseCertificate],
    features: Features,
) -> list[str]:
    """Say what changed, field by field.

    Args:
        before: as it was approved.
        now: as it is proposed.
        certificates: what was approved with the one, and what the other gives now.
        features: those that the certificates name.
    """
    said = [
        *_changed("the title", before.title, now.title),
        *_changed("who proposes it", before.proposer, now.proposer),
        *_changed("the purposes", ", ".join(before.purposes), ", ".join(now.purposes)),
        *_changed("what is asked", before.check, now.check),
        *_changed("what it returns", before.returns, now.returns),
        *_plans("tables", _OF_TABLES, before.aggregate, now.aggregate),
        *_plans("a training", _OF_TRAINING, before.training, now.training),
        *_plans("a report", _OF_REPORT, before.report, now.report),
        *_plans("a list", _OF_LIST, before.listing, now.listing),
        *_plans("scores", _OF_SCORES, before.score, now.score),
        *_plans("a training in the room", _OF_FIT, before.fit, now.fit),
    ]
    if before.signer != now.signer:
        said.append("another certificate signed it")
    for name in dict.fromkeys((*before.params, *now.params)):
        was, is_ = before.params.get(name), now.params.get(name)
        said += _changed(f"the parameter {name}", was and was.feature, is_ and is_.feature)
    if list(before.params) != list(now.params) and sorted(before.params) == sorted(now.params):
        said.append("the parameters stand in another order")
    earlier, later = ({part.owner: part for part in each.parts} for each in certificates)
    for owner in dict.fromkeys((*earlier, *later)):
        said += _parts(owner, earlier.get(owner), later.get(owner), features)
    return said or ["nothing that these words tell: see the lines"]


def _plans(
    what_kind: str, fields: Mapping[str, str], before: Part | None, now: Part | None
) -> Iterator[str]:
    if before is None or now is None:
        if before is not now:
            yield f"it asks for {what_kind} {'no more' if now is None else 'now'}"
        return
    for field, what in fields.items():
        was, is_ = (cast("object", getattr(each, field)) for each in (before, now))
        yield from _changed(what, _listed(was), _listed(is_))


def _listed(value: object) -> str | None:
    if isinstance(value, tuple):
        return "; ".join(map(_entry, cast("tuple[object, ...]", value))) or None
    return _entry(value) if isinstance(value, Part) else None if value is None else str(value)


def _entry(value: object) -> str:
    if isinstance(value, Part):
        told = value.model_dump(mode="json").items()
        return ", ".join(f"{name} {_written(each)}" for name, each in told)
    return _written(value)


def _written(value: object) -> str:
    if isinstance(value, tuple | list):
        return " x ".join(map(str, cast("list[object]", value))) or "the total"
    return str(value)


_OF_TABLES = {
    "dimensions": "the columns",
    "measures": "what is told of each cell",
    "ways": "of up to how many columns all tables are told",
    "margins": "which tables",
    "rules": "the rules",
    "privacy": "the noise",
    "groups": "what names legal groups",
    "owners": "whose cells are added up",
}


_OF_FIT = {
    "algorithm": "how is trained",
    "features": "the columns",
    "label": "what is foretold",
    "inverse_ridge": "the inverse ridge",
    "trees": "the most trees",
    "leaves": "the most leaves of a tree",
    "least_rows": "the fewest rows",
    "least_events": "the fewest rows of the rarer label",
    "releases": "what is told of the model",
    "runs": "how many trainings there may be",
    "bands": "the noise of bands",
}


_OF_TRAINING = {
    "algorithm": "how is trained",
    "features": "the room's columns",
    "label": "what is foretold",
    "label_columns": "the most columns of the label side",
    "inverse_ridge": "the inverse ridge",
    "rounds": "the most rounds",
    "least_rows": "the fewest common subjects",
    "least_events": "the fewest rows of the rarer label",
    "releases": "what is told of a training",
    "runs": "how many jobs there may be",
    "host": "whose enclave brings the owners' columns together",
}


_OF_REPORT = {"columns": "the columns of which tables"}
_OF_LIST = {
    "table": "which register",
    "columns": "the columns",
    "only": "which of its rows count",
    "by": "what picks the firms",
    "most": "the most firms",
}
_OF_SCORES = {
    "model": "the model",
    "training": "what the model was trained under",
    "features": "the features that the model reads",
    "edges": "where the bands end",
    "stands_for": "what the bands stand for",
    "askers": "who may ask for scores",
}


def _changed(what: str, before: object, now: object) -> Iterator[str]:
    if before != now:
        yield f"{what}: {_plain(before)} -> {_plain(now)}"


def _plain(value: object) -> str:
    return "none" if value is None else visible(str(value))


def _parts(
    owner: str, before: OwnerPart | None, now: OwnerPart | None, features: Features
) -> Iterator[str]:
    if before is None or now is None:
        yield f"{owner} is asked {'no more' if now is None else 'now, and was not before'}"
        return
    if before.table is not None and now.table is not None:
        yield from _changed(
            f"{owner} tells at most, in numbers", before.table.cells, now.table.cells
        )
    was, is_ = f"{before.most_bits:.2f}", f"{now.most_bits:.2f}"
    yield from _changed(f"{owner} tells at most, in bits", was, is_)
    yield from _changed(
        f"{owner} needs the subject's consent", before.needs_consent, now.needs_consent
    )
    used, uses = ({use.feature: use for use in each.features} for each in (before, now))
    for name in dict.fromkeys((*used, *uses)):
        if name not in uses:
            yield f"it reads {name} no more"
        elif name not in used:
            yield f"it reads {name}, which it did not"
        elif used[name].digest != uses[name].digest:
            yield from _feature(name, features.get(used[name].digest), features[uses[name].digest])


def _feature(name: str, before: Feature | None, now: Feature) -> Iterator[str]:
    if before is None:
        yield f"{name} was defined anew"
        return
    for field in Feature.model_fields:
        was, is_ = (_field(each, field) for each in (before, now))
        yield from _changed(f"{name}, {field}", was, is_)


def _field(feature: Feature, field: str) -> str:
    value = cast("object", getattr(feature, field))
    if isinstance(value, tuple):
        return ", ".join(map(str, cast("tuple[object, ...]", value)))
    return str(value)


def in_lines(before: Envelope, now: Envelope) -> list[str]:
    """Give the signed payloads' lines, those that went with `-`, those that came with `+`."""
    was, is_ = _lines(before), _lines(now)
    lines = [
        line
        for line in difflib.unified_diff(was, is_, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    if not lines and before.payload != now.payload:
        return ["the bytes differ where the lines do not: do not approve this"]
    return lines


def _lines(statement: Envelope) -> list[str]:
    document = cast("dict[str, object]", json.loads(statement.payload))
    signer = load(statement, Template).signer
    document["signer"] = f"certificate {sha256_digest(unb64(signer))}"
    return [
        visible(line) for line in json.dumps(document, ensure_ascii=False, indent=1).split("\n")
    ]


def visible(text: str) -> str:
    """Write out every character that could be taken for another: all but ASCII and Han.

    The backslash too, so that no text looks like another one written out.
    """
    return "".join(char if _is_plain(char) else f"\\u{{{ord(char):04x}}}" for char in text)


def _is_plain(char: str) -> bool:
    return (
        char == "\n"
        or (" " <= char <= "~" and char != "\\")
        or unicodedata.name(char, "").startswith("CJK UNIFIED IDEOGRAPH")
        or char in _PUNCTUATION
    )


_PUNCTUATION = (
    "\uff0c\u3002\u3001\uff1b\uff1a\uff1f\uff01\uff08\uff09\u300a\u300b\u201c\u201d\u00b7\u2026"
)
"""Chinese punctuation; none of these looks like another of them or like ASCII beside it."""
