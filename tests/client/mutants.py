"""Every small way to alter a receipt file: each field, each statement in it, each signature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, cast

from saferoom_proto.encoding import b64, unb64
from saferoom_proto.keys import SigningKey
from saferoom_proto.reasons import SafeRoomError

OTHER: Final = SigningKey.generate()
Step = str | int
Mutant = tuple[str, object]
"""Where a document was altered, and the altered document."""


def mutants(document: object) -> Iterator[Mutant]:
    """Give the document with one thing altered, for each thing in it."""
    match document:
        case dict():
            yield from _of_object(cast("dict[str, object]", document))
        case list():
            yield from _of_list(cast("list[object]", document))
        case str():
            yield from _of_text(document)
        case bool():
            yield "not", not document
        case int():
            yield "+1", document + 1
            yield "-1", document - 1
        case _:
            yield "null", "x"


def _of_object(document: dict[str, object]) -> Iterator[Mutant]:
    for name, value in document.items():
        rest = {each: kept for each, kept in document.items() if each != name}
        yield f"{name} gone", rest
        yield f"{name} null", document | {name: None}
        yield f"{name} beside itself", rest | {f"{name}x": value}
        for where, altered in mutants(value):
            yield f"{name}.{where}", document | {name: altered}
    yield "backwards", dict(reversed(document.items()))


def _of_list(document: list[object]) -> Iterator[Mutant]:
    yield "emptied", []
    if document:
        yield "first twice", [document[0], *document]
        yield "last gone", document[:-1]
        yield "backwards", document[::-1]
    for place, value in enumerate(document):
        for where, altered in mutants(value):
            yield f"{place}.{where}", [*document[:place], altered, *document[place + 1 :]]


def _of_text(text: str) -> Iterator[Mutant]:
    if text.startswith('{"payload"'):
        yield from _of_envelope(cast("dict[str, object]", json.loads(text)))
    elif text.startswith("{"):
        for where, altered in mutants(json.loads(text)):
            yield where, _compact(altered)
    elif text.startswith("c2sp.org/tlog-proof"):
        lines = text.split("\n")
        for place, line in enumerate(lines):
            for altered in (_turned(line), None):
                kept = [] if altered is None else [altered]
                yield f"line {place}", "\n".join([*lines[:place], *kept, *lines[place + 1 :]])
    yield "turned", _turned(text)
    yield "cut", text[:-1]
    yield "and more", f"{text} "
    try:
        data = unb64(text)
    except SafeRoomError:
        return
    for place in {0, len(data) // 2, len(data) - 1} if data else ():
        turned = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        yield f"byte {place}", b64(turned)


def _of_envelope(envelope: dict[str, object]) -> Iterator[Mutant]:
    """Alter what was signed, leaving the signatures; then the signatures, leaving it."""
    payload = json.loads(unb64(str(envelope["payload"])))
    for where, altered in mutants(payload):
        yield f"says {where}", _compact(envelope | {"payload": b64(_compact(altered).encode())})
    spaced = json.dumps(payload, ensure_ascii=False).encode()
    yield "says with spaces", _compact(envelope | {"payload": b64(spaced)})
    for where, altered in mutants(envelope["signatures"]):
        yield f"signatures {where}", _compact(envelope | {"signatures": altered})
    signatures = cast("list[dict[str, str]]", envelope["signatures"])
    foreign = {"keyid": OTHER.verify_key.keyid, "sig": b64(OTHER.sign(b"anything"))}
    yield "signed by another", _compact(envelope | {"signatures": [foreign]})
    yield "signed by another too", _compact(envelope | {"signatures": [*signatures, foreign]})
    yield (
        "another's signature",
        _compact(
            envelope | {"signatures": [signatures[0] | {"sig": foreign["sig"]}, *signatures[1:]]}
        ),
    )
    yield "payloadType", _compact(envelope | {"payloadType": f"{envelope['payloadType']}x"})
    yield "spaced", json.dumps(envelope)


def _turned(text: str) -> str:
    """Change the character in the middle."""
    place = len(text) // 2
    return text[:place] + ("A" if text[place : place + 1] != "A" else "B") + text[place + 1 :]


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
