"""Features over the catalogue's types, and checks over those, for owners and banks to take.

They are drafts: an owner reads one, sets its grid by its own records, and signs it as its feature;
a bank names the room's owners in a check, and proposes it. Nothing is in force by standing here.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic import Field as Limits

from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements import Purpose
from saferoom_proto.statements.base import Part
from saferoom_proto.statements.feature import Absent, FeatureKind, StatedRule

PACKED: Final = Path(__file__).with_name("offers.json.bz2")

_QUESTIONS: Final = 2
"""Thresholds of a charged feature that one group may ask in a period, until its owner says more."""
_STATED: Final = 3
"""And values that may be stated of it."""
_NAMED: Final = re.compile(r"\b([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\b", re.ASCII)

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class OfferedFeature:
    """A feature that an owner of a type may take.

    Attributes:
        types: the information type that it is about, and another that it reads beside it.
        kind: how it may be compared.
        at: where: thresholds, or names of classes.
    """

    name: str
    types: tuple[str, ...]
    en: str
    zh: str
    level: int
    family: str
    unit: str
    absent: Absent
    kind: FeatureKind
    at: tuple[str, ...]
    sql: str
    _given: Mapping[str, object]

    @property
    def type_id(self) -> str:
        """The information type that it is about."""
        return self.types[0]

    def draft(self, as_of: date) -> Document:
        """Give the draft that `feature add` reads, about the records of a day."""
        charged = self.kind is FeatureKind.ORDERED and self.level > 1
        asked = min(_QUESTIONS, len(self.at)) if charged else "all"
        return {
            "name": self.name,
            "version": 1,
            "title": {"en": self.en, "zh": self.zh},
            "unit": self.unit,
            "level": self.level,
            "family": self.family,
            "information_types": [*self.types],
            "as_of": as_of.isoformat(),
            "sql": self.sql,
            "kind": str(self.kind),
            **self._given,
            "absent": str(self.absent),
            "questions": _STATED if self.kind is FeatureKind.STATED else asked,
        }


@dataclass(frozen=True, slots=True)
class OfferedCheck:
    """A check that a bank may propose, about owners by handles of their own.

    Attributes:
        features: that it asks about, `owner.name`.
    """

    name: str
    en: str
    zh: str
    purposes: tuple[Purpose, ...]
    params: Mapping[str, str]
    check: str

    @property
    def features(self) -> tuple[str, ...]:
        """Name the features that it asks about, in order."""
        return tuple(dict.fromkeys(found[0] for found in _NAMED.finditer(self.check)))

    @property
    def owners(self) -> tuple[str, ...]:
        """Name the owners that it asks, by the handles it stands with."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.features))

    def draft(self, owners: Mapping[str, str]) -> Document:
        """Give the draft that `template propose` reads.

        Args:
            owners: the room's own name of an owner, by its handle; one without stays as it is.
        """

        def named(text: str) -> str:
            return _NAMED.sub(lambda found: f"{owners.get(found[1], found[1])}.{found[2]}", text)

        params = {name: {"feature": named(feature)} for name, feature in self.params.items()}
        return {
            "kind": "Check",
            "name": self.name,
            "title": {"en": self.en, "zh": self.zh},
            "purposes": [str(each) for each in self.purposes],
            **({"params": params} if params else {}),
            "check": named(self.check),
        }


@dataclass(frozen=True, slots=True)
class Offers:
    """All that may be taken, by their names."""

    features: Mapping[str, OfferedFeature]
    checks: Mapping[str, OfferedCheck]

    def feature(self, name: str) -> OfferedFeature:
        """Give a feature by its name.

        Raises:
            SafeRoomError: `MALFORMED` if there is none.
        """
        if (found := self.features.get(name)) is None:
            rule = f"{name}: no feature that the catalogue offers"
            raise _unknown("--name", rule, "saferoom catalogue features")
        return found

    def check(self, name: str) -> OfferedCheck:
        """Give a check by its name; raises as `feature` does."""
        if (found := self.checks.get(name)) is None:
            rule = f"{name}: no check that the catalogue offers"
            raise _unknown("CHECK", rule, "saferoom catalogue checks")
        return found


def _unknown(place: str, rule: str, listed_by: str) -> SafeRoomError:
    refusal = SafeRoomError(Reason.MALFORMED, rule, [FieldFault(place, rule)])
    refusal.add_note(listed_by)
    return refusal


def _absent(value: object) -> object:
    """Take `absent: false` for the word."""
    return "false" if value is False else value


class _Feature(Part):
    name: str
    type: str
    also: str | None = None
    family: str
    level: int
    unit: str = ""
    absent: Annotated[Absent, BeforeValidator(_absent)]
    kind: FeatureKind | None = None
    grid: tuple[float, ...] = ()
    classes: Annotated[dict[str, tuple[str, ...]], Limits(default_factory=dict)]
    stated: StatedRule | None = None
    en: str
    zh: str
    sql: str

    def offered(self) -> OfferedFeature:
        given: Document = {}
        at: tuple[str, ...] = ()
        kind = self.kind or FeatureKind.FLAG
        if self.grid:
            kind, at = (
                FeatureKind.ORDERED,
                tuple(f"{each:g}" if each % 1 else f"{each:.0f}" for each in self.grid),
            )
            given = {"grid": [float(each) if "." in each else int(each) for each in at]}
        if self.classes:
            kind, at = FeatureKind.CLASSES, tuple(self.classes)
            given = {
                "classes": [
                    {"name": name, "values": list(values)} for name, values in self.classes.items()
                ]
            }
        if self.stated is not None:
            kind, given = (
                FeatureKind.STATED,
                dict[str, object](stated=self.stated.model_dump(mode="json")),
            )
        types = (self.type,) if self.also is None else (self.type, self.also)
        return OfferedFeature(
            *(self.name, types, self.en, self.zh, self.level, self.family, self.unit),
            *(self.absent, kind, at, self.sql, given),
        )


class _Check(Part):
    name: str
    purposes: tuple[Purpose, ...]
    params: Annotated[dict[str, str], Limits(default_factory=dict)]
    en: str
    zh: str
    check: str


class _File(Part):
    features: tuple[_Feature, ...]
    checks: tuple[_Check, ...]


@cache
def offers() -> Offers:
    """Read the offers that this version of the client holds."""
    return read_offers(bz2.decompress(PACKED.read_bytes()))


def read_offers(document: bytes) -> Offers:
    """Read offers from JSON.

    Raises:
        ValidationError: they are not of the form of `features.yaml` and `checks.yaml`.
    """
    file = _File.model_validate_json(document)
    features = {each.name: each.offered() for each in file.features}
    checks = {
        each.name: OfferedCheck(each.name, each.en, each.zh, each.purposes, each.params, each.check)
        for each in file.checks
    }
    return Offers(features, checks)
