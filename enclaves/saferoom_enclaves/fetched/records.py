"""Fetched records as questions are answered from them: cells of one subject, of one period.

Everything is looked up and changed by one thread at a time; only `compute` runs beside, in any.
An answer that cannot be used leaves every feature of its source unknown, for the period: what comes
of it is sealed, and charged, as whatever depends on a record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from saferoom_enclaves.admit import Allowed
from saferoom_enclaves.features.computed import FeatureDefinition
from saferoom_enclaves.fetched.computing import compute_answer
from saferoom_enclaves.fetched.kept import UNUSABLE, Kept, KeptAnswer
from saferoom_enclaves.fetched.wanting import Needed, Recipe, want
from saferoom_enclaves.index import FeatureIndex
from saferoom_enclaves.logs import Log
from saferoom_enclaves.standing import Standing
from saferoom_enclaves.storework import StoreWork
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Source

MOST_KNOWN: Final = 10_000
"""Subjects whose cells are held in memory, some 2 KiB each; the others' are computed again."""
_NOBODY: Final = "0" * 18
"""Whom an answer is about that is nobody's: features are tried on it, without a record."""

Features = Mapping[FeatureRef, PinnedFeature]
Sound = frozenset[FeatureRef]
"""Features that can be computed, whatever the record."""


@dataclass(frozen=True, slots=True)
class _Known:
    period: int
    recipe: tuple[str, frozenset[str]]
    index: FeatureIndex | None


class OneSubject:
    """The cells of one subject: those of the store, and of each source that was asked about it.

    What is read of an answer that cannot be used is unknown.
    """

    def __init__(self, subject: str, parts: Mapping[FeatureRef, FeatureIndex | None]) -> None:
        self._subject: Final = subject
        self._parts: Final = parts

    @property
    def features(self) -> frozenset[FeatureRef]:
        """Which features there are."""
        return frozenset(self._parts)

    def cells(self, subject: str, names: Iterable[FeatureRef]) -> tuple[int | None, ...]:
        """Give the subject's cell of each feature; as `FeatureIndex.cells`."""
        return tuple(self._cell(subject, name) for name in names)

    def matches(self, subject: str, name: FeatureRef, said: str) -> bool:
        """Tell whether what is held of a feature is what is stated."""
        part = self._part(subject, name)
        return part is not None and part.matches(subject, name, said)

    def tag(self, subject: str, name: FeatureRef) -> bytes | None:
        """Give what stands for what is held of a feature; as `FeatureIndex.tag`."""
        part = self._part(subject, name)
        return None if part is None else part.tag(subject, name)

    def _cell(self, subject: str, name: FeatureRef) -> int | None:
        part = self._part(subject, name)
        return None if part is None else part.cells(subject, [name])[0]

    def _part(self, subject: str, name: FeatureRef) -> FeatureIndex | None:
        if subject != self._subject:
            raise SafeRoomError(Reason.INTERNAL, "cells of another subject")
        return self._parts[name]


@dataclass(frozen=True, slots=True, repr=False)
class FetchedAbout:
    """What a source said about one subject. It shows no text form."""

    recipe: Recipe
    data: bytes
    tried: Callable[[Recipe], Sound]

    def features(self) -> tuple[PinnedFeature, ...]:
        """Give the features that are computed of it, in any thread."""
        sound = self.tried(self.recipe)
        return tuple(each for ref, each in sorted(self.recipe.features.items()) if ref in sound)


class FetchedRecords:
    """Knows which records of which subjects were fetched.

    Args:
        kept: the answers, sealed.
        standing: what is in force.
        work: has children compute.
        log: the operator's.
    """

    def __init__(self, kept: Kept, standing: Standing, work: StoreWork, log: Log) -> None:
        self._kept: Final = kept
        self._standing: Final = standing
        self._work: Final = work
        self._log: Final = log
        self._known: Final[OrderedDict[tuple[str, str], _Known]] = OrderedDict()
        self._sound: Final[dict[tuple[str, frozenset[str]], Sound]] = {}
        self._pending: Final[set[tuple[str, str]]] = set()
        self._recipes: dict[str, Recipe] = {}
        self._generation = -1

    def wanted(
        self, allowed: Allowed, subject: str, features: Features, now: datetime
    ) -> tuple[Needed, ...]:
        """Tell what must be fetched or computed before a question can be judged.

        Args:
            allowed: the question, held to every rule.
            subject: whom it is about.
            features: those of sources that it reads.
            now: the instant.
        """
        wanted: list[Needed] = []
        self.require_sound(features)
        for recipe in self._recipes_of(features):
            if self._current(subject, recipe, now) is None:
                names = features.keys() & recipe.features.keys()
                wanted.append(want(allowed, subject, recipe, names, now))
        return tuple(wanted)

    def kept(self, wanted: Needed) -> bytes | None:
        """Give the period's answer, in the form of `keep`; none if it must be asked."""
        found = self._kept.get(wanted.subject, wanted.recipe.source, wanted.moment)
        return None if found is None else found.data

    def tried(self, recipe: Recipe) -> Sound:
        """Try a source's features without a record; gives those that can be computed.

        In any thread.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is nobody to try them.
        """
        known = self._sound.get(recipe.key)
        if known is not None:
            return known
        definitions = [FeatureDefinition.of(each.definition) for each in recipe.features.values()]
        found = compute_answer(self._work, b"", _NOBODY, recipe.tables, definitions)
        for ref, rule in found.refused.items():
            self._log.error("feature not computed", feature=str(ref), rule=str(rule))
        return found.index.features

    def note(self, recipe: Recipe, sound: Sound) -> None:
        """Take note of which features can be computed."""
        self._sound[recipe.key] = sound

    def compute(self, wanted: Needed, answer: bytes, sound: Sound) -> FeatureIndex | None:
        """Make cells of an answer; none if it cannot be used. In any thread.

        Raises:
            SafeRoomError: `UNAVAILABLE` if there is nobody to make them.
        """
        recipe = wanted.recipe
        if answer == UNUSABLE:
            return None
        features = [
            FeatureDefinition.of(each.definition)
            for ref, each in recipe.features.items()
            if ref in sound
        ]
        try:
            found = compute_answer(self._work, answer, wanted.subject, recipe.tables, features)
        except SafeRoomError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise
            self._unusable(recipe.source, error)
            return None
        return found.index

    def keep(self, wanted: Needed, answer: bytes) -> None:
        """Keep a period's answer, durably: nothing is answered from it before.

        Args:
            wanted: what was fetched.
            answer: as it came; empty of a subject that the provider does not know; `UNUSABLE`
                in the place of one that cannot be used.

        Raises:
            SafeRoomError: `CONFLICT` if there is one of this period.
        """
        source = wanted.recipe.source
        answered = KeptAnswer(source.period(wanted.moment), answer)
        self._kept.put(wanted.subject, source, answered)

    def know(self, wanted: Needed, index: FeatureIndex | None) -> None:
        """Answer questions of the period from these cells; from none if they cannot be had."""
        period = wanted.recipe.source.period(wanted.moment)
        self._known[wanted.place] = _Known(period, wanted.recipe.key, index)
        self._known.move_to_end(wanted.place)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def unusable(self, wanted: Needed) -> None:
        """Take note that a source gave what the broker could not take."""
        self._unusable(wanted.recipe.source, SafeRoomError(Reason.TOO_LARGE))

    def begun(self, wanted: Iterable[Needed]) -> None:
        """Take note of what is under way, until it settles."""
        self._pending.update(each.place for each in wanted)

    def settled(self, wanted: Needed) -> None:
        """Take note that nothing is under way about a subject any more."""
        self._pending.discard(wanted.place)

    def parts(
        self, subject: str, features: Features, now: datetime
    ) -> dict[FeatureRef, FeatureIndex | None]:
        """Give for each feature of a source the cells that it is answered from.

        Raises:
            SafeRoomError: `NO_DATA` for a feature that cannot be computed; `SOURCE_PENDING` while
                its source is being asked; `SOURCE_UNAVAILABLE` if that told nothing.
        """
        found: dict[FeatureRef, FeatureIndex | None] = {}
        self.require_sound(features)
        for recipe in self._recipes_of(features):
            names = [ref for ref in features if ref in recipe.features]
            known = self._current(subject, recipe, now)
            if known is None:
                pending = (subject, recipe.source.name) in self._pending
                reason = Reason.SOURCE_PENDING if pending else Reason.SOURCE_UNAVAILABLE
                raise SafeRoomError(reason, recipe.source.name)
            index = known.index
            # One that broke a rule on this record is no part of it, and unknown.
            found |= {ref: index if index and ref in index.features else None for ref in names}
        return found

    def require_sound(self, features: Features) -> None:
        """Refuse with `NO_DATA` a feature of which it is known that it cannot be computed."""
        for recipe in self._recipes_of(features):
            sound = self._sound.get(recipe.key)
            if sound is not None and (broken := features.keys() & recipe.features.keys() - sound):
                raise SafeRoomError(Reason.NO_DATA, f"not computed: {min(map(str, broken))}")

    def held(self, subject: str, now: datetime) -> tuple[FetchedAbout, ...]:
        """Give what is held about a subject: each source's answer, empty if it knows nobody."""
        found: list[FetchedAbout] = []
        recipes: dict[str, Recipe] = {}
        for digest in self._standing.schemas:  # also what the newest asks for no more
            recipes |= self._made(digest)
        for recipe in recipes.values():
            kept = self._kept.get(subject, recipe.source, now)
            if kept is not None and kept.data != UNUSABLE:
                found.append(FetchedAbout(recipe, kept.data, self.tried))
        return tuple(found)

    def throw_away(self, now: datetime) -> None:
        """Forget what is over."""
        self._kept.throw_away(now)

    def _current(self, subject: str, recipe: Recipe, now: datetime) -> _Known | None:
        known = self._known.get((subject, recipe.source.name))
        if known is None or known.recipe != recipe.key:
            return None
        return known if known.period == recipe.source.period(now) else None

    def _recipes_of(self, features: Features) -> list[Recipe]:
        """Give the recipes that some features need.

        Raises:
            SafeRoomError: `NO_DATA` if the schema in force has no table of a feature's source.
        """
        recipes = self._in_force()
        wanted: dict[str, Recipe] = {}
        for ref, pinned in features.items():
            source = pinned.definition.source
            recipe = None if source is None else recipes.get(source.name)
            if recipe is None or ref not in recipe.features:
                raise SafeRoomError(Reason.NO_DATA, f"not computed: {ref}")
            wanted[recipe.source.name] = recipe
        return list(wanted.values())

    def _in_force(self) -> dict[str, Recipe]:
        if self._generation != self._standing.generation:
            self._generation = self._standing.generation
            newest = self._standing.schema
            self._recipes = {} if newest is None else self._made(newest)
        return self._recipes

    def _made(self, digest: str) -> dict[str, Recipe]:
        schema = self._standing.schemas[digest]
        made: dict[str, Recipe] = {}
        for source in (table.source for table in schema.tables if table.source is not None):
            features = {
                ref: pinned
                for ref, pinned in self._standing.features.items()
                if pinned.definition.source == source
            }
            made[source.name] = Recipe(source, digest, schema.fetched(source), features)
        return made

    def _unusable(self, source: Source, error: SafeRoomError) -> None:
        # Neither about whom nor what is wrong: both would tell of a record.
        self._log.error("answer of a source refused", source=source.name, reason=str(error.reason))
