"""What has to be fetched before a question can be judged: nothing, but for an allowed question.

Holding a `Needed` is the proof that the subject's consent, for this institution, this purpose and
these features, was in force when the question was looked at; the broker is asked for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, final

from saferoom_enclaves.admit import Allowed
from saferoom_enclaves.evidence import Evidence, Right
from saferoom_proto.certificate import PinnedFeature
from saferoom_proto.formula import FeatureRef
from saferoom_proto.reasons import Reason, SafeRoomError
from saferoom_proto.statements import Source, Table


class _Wanting(Right):
    __slots__ = ()


_WANTED: Final = _Wanting()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a source's answers become cells, under the statements in force.

    Attributes:
        source: whom to ask.
        schema: digest of the schema.
        tables: what it answers with.
        features: all that are computed from them.
    """

    source: Source
    schema: str
    tables: tuple[Table, ...]
    features: Mapping[FeatureRef, PinnedFeature]

    @property
    def key(self) -> tuple[str, frozenset[str]]:
        """What another recipe of the same source differs in."""
        return self.schema, frozenset(each.digest for each in self.features.values())


@final
@dataclass(frozen=True, slots=True, eq=False)
class Needed(Evidence):
    """A record that an allowed question needs.

    Attributes:
        subject: about whom.
        recipe: what becomes of it.
        names: the source's features that the question reads.
        moment: when the question was allowed.
    """

    right: InitVar[_Wanting]
    subject: str
    recipe: Recipe
    names: AbstractSet[FeatureRef]
    moment: datetime

    def __post_init__(self, right: _Wanting) -> None:
        _WANTED.require(right)

    @property
    def place(self) -> tuple[str, str]:
        """The subject, and the source's name."""
        return self.subject, self.recipe.source.name


def want(
    allowed: Allowed,
    subject: str,
    recipe: Recipe,
    names: AbstractSet[FeatureRef],
    moment: datetime,
) -> Needed:
    """Let a record be fetched for an allowed question.

    Raises:
        SafeRoomError: `NO_CONSENT`: a feature of a source is of a level that needs it, and no
            question about one comes here without.
    """
    if allowed.consent is None:
        raise SafeRoomError(Reason.NO_CONSENT, "a source is asked under consent only")
    return Needed(_WANTED, subject, recipe, names, moment)
