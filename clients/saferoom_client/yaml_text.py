"""What people write in YAML: read so that every scalar means what it means in JSON, and written.

Only `true` and `false` are booleans (`no`, `on` and `yes` are words), only JSON's numbers are
numbers, dates are words; anchors, aliases and explicit tags are refused. Source: YAML 1.2.2,
section 10.2 (the JSON schema), but for words, which need no quotes here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Final, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from saferoom_proto.document import read_decimal, read_integer, require_shallow
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError

LIMIT_CHARS: Final = 1 << 17
"""A template is a page, the whole annex 57 KiB. The parser is pure Python: the worst text of this
length takes it 2 seconds (measured)."""

WIDTH: Final = 100
"""Columns of what is written."""

_WORDS: Final[dict[str, object]] = {"true": True, "false": False, "null": None, "": None}
_NUMBER: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][-+]?[0-9]+)?"
)
_LIKE_A_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Written:
    """A mapping that somebody wrote.

    Attributes:
        document: fractions and exponents as `Decimal`, whole numbers as `int`.
        lines: where each value stands, from 1, by the keys and places that lead to it (`a.b.0`).
    """

    document: dict[str, object]
    lines: Mapping[str, int]

    def line(self, path: str) -> int:
        """Find the line of a value, or of the innermost part of its path that is there."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return self.lines.get(path, 1)


def read_yaml(text: str) -> Written:
    """Read exactly one YAML mapping.

    Raises:
        SafeRoomError: `TOO_LARGE` past 128 Ki characters, else `MALFORMED` naming line and column.
    """
    if len(text) > LIMIT_CHARS:
        detail = f"{len(text)} characters of YAML, at most {LIMIT_CHARS}"
        raise SafeRoomError(Reason.TOO_LARGE, detail)
    reader = _Reader(YAML(typ="safe", pure=True).parse(StringIO(text)))
    try:
        document = reader.read()
    except MarkedYAMLError as error:
        rule = f"it cannot be read as YAML from here on: {error.problem}"
        raise _fault(rule, error.problem_mark) from error
    except (YAMLError, ValueError) as error:
        raise SafeRoomError(Reason.MALFORMED, f"YAML: {error}") from error
    except RecursionError as error:
        raise SafeRoomError(Reason.MALFORMED, "YAML: nested too deeply") from error
    require_shallow(document)
    if not isinstance(document, dict):
        raise _fault("the document is not a mapping", None)
    return Written(cast("dict[str, object]", document), reader.lines)


def write_yaml(document: Mapping[str, object]) -> str:
    """Write a mapping's fields in their order; `read_yaml` reads the same."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.width = WIDTH
    out = StringIO()
    writer.dump(dict(document), out)
    return out.getvalue()


@dataclass(slots=True)
class _Reader:
    """Makes a document of the parser's events."""

    _events: Iterator[Event]
    lines: dict[str, int] = field(default_factory=dict[str, int])

    def read(self) -> object:
        document: object = None
        begun = False
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if begun:
                raise _fault("a second document", event.start_mark)
            begun = True
            document = self._value(next(self._events), "")
        return document

    def _value(self, event: Event, path: str) -> object:
        mark = event.start_mark
        if isinstance(event, NodeEvent) and event.anchor is not None:  # an alias names it, too
            raise _fault("anchors are refused", mark)
        match event:
            case SequenceStartEvent(tag=None):
                return self._list(path)
            case MappingStartEvent(tag=None):
                return self._mapping(path)
            case ScalarEvent(tag=None):
                return _scalar(event)
            case _:
                raise _fault("tags are refused", mark)

    def _inside(self) -> Iterator[Event]:
        """Give what stands in a list or mapping; whoever asks for the next has read this one."""
        for event in self._events:
            if isinstance(event, (SequenceEndEvent, MappingEndEvent)):
                return
            yield event

    def _list(self, path: str) -> list[object]:
        items: list[object] = []
        for event in self._inside():
            items.append(self._value(event, self._place(path, str(len(items)), event)))
        return items

    def _mapping(self, path: str) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for event in self._inside():
            key = self._value(event, path)
            if not isinstance(key, str):
                raise _fault("the key is not text: put it in quotes", event.start_mark)
            if key in mapping:
                raise _fault("the key stands twice", event.start_mark)
            place = self._place(path, key, event)
            mapping[key] = self._value(next(self._events), place)
        return mapping

    def _place(self, path: str, part: str, event: Event) -> str:
        """Name a place by what leads to it, and keep its line."""
        place = f"{path}.{part}" if path else part
        if event.start_mark is not None:
            self.lines[place] = event.start_mark.line + 1
        return place


def _scalar(event: ScalarEvent) -> object:
    text = event.value
    if event.style is not None:  # quoted, or a block: always a string
        return text
    if text in _WORDS:
        return _WORDS[text]
    if (number := _NUMBER.fullmatch(text)) is None:
        return text
    try:
        return (
            read_decimal(text) if number["fraction"] or number["exponent"] else read_integer(text)
        )
    except ValueError as error:
        raise _fault(str(error), event.start_mark) from error


def _fault(problem: str, mark: StringMark | None) -> SafeRoomError:
    place = "line 1 column 1" if mark is None else f"line {mark.line + 1} column {mark.column + 1}"
    return SafeRoomError(
        Reason.MALFORMED, f"YAML: {problem} at {place}", [FieldFault(place, problem)]
    )


class _Representer(SafeRepresenter):
    """Writes texts of several lines as blocks, and nothing twice by reference."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True

    def represent_text(self, text: str) -> ScalarNode:
        """Quote what a reader of another YAML could take for a number."""
        style = "|" if "\n" in text else "'" if _LIKE_A_NUMBER.fullmatch(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Representer.add_representer(str, _Representer.represent_text)
