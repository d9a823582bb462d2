"""What is told of a model that was trained in the room: its card, sealed to the asker.

The plaintext is JSON, filled up with spaces to a size that the template alone decides. The release
carries a hash of the whole; the salt in it keeps that commitment from being guessed. Numbers are
text, as they were rounded: no reader rounds again.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError
from pydantic_core import to_json

from saferoom_proto.asker_seal import AskerSeal
from saferoom_proto.encoding import parse_object
from saferoom_proto.fit_bands import ToldBands, require_told
from saferoom_proto.reasons import FieldFault, Reason, SafeRoomError
from saferoom_proto.statements.base import Digest, Owner, Part, field_faults
from saferoom_proto.statements.fit import FitFigure, FitPart
from saferoom_proto.statements.training import MOST_COLUMNS, MOST_OWNERS, MOST_ROWS

SIZE: Final = 64 * 1024
"""All cards look alike; a template whose columns' names do not fit is refused (`require_room`)."""
MOST_WEIGHT: Final = 999
"""The largest weight of a standardised column that is told: one beyond it follows single rows."""
_HEAD: Final = 2048
"""Bytes of a card beside its weights, at most."""
_WEIGHT: Final = len('{"column":,"weight":"-999.00"},')

CARD_SEAL: Final = AskerSeal("fit v1")

Hundredths = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,3}\.[0-9]{2}$")]
"""A number rounded to 0.01."""
Share = Annotated[str, StringConstraints(pattern=r"^(0\.[0-9]{2}|1\.00)$")]


def _is_none(value: object) -> bool:
    return value is None


class ToldWeight(Part):
    """A standardised column's weight; zero where it was left out."""

    column: str
    weight: Hundredths


class ModelCard(Part):
    """What is told of a model.

    Attributes:
        room, owner, request, template: what it is the word on.
        epoch: of the store that it was trained on.
        rows: trained and measured on together, in tens.
        auc, ks: on rows held out.
        membership: of whoever guesses by their loss which rows were trained on: how much more often
            it is right of those than wrong of the others, at its best threshold.
        by_chance: how much that comes to in one of a thousand models that tell nothing.
        weights: a logistic regression's.
        givers: the other owners whose columns were trained on, if any.
        salt: 32 random bytes, base64.
        bands: of the rows held out, the riskiest first, with noise.
    """

    format: Literal["saferoom-model-card/v1"] = "saferoom-model-card/v1"
    room: str
    owner: Owner
    request: Digest
    template: Digest
    epoch: Annotated[int, Field(ge=1)]
    rows: Annotated[int | None, Field(ge=0, le=MOST_ROWS, multiple_of=10)]
    auc: Share | None
    ks: Share | None
    membership: Share
    by_chance: Share
    weights: Annotated[tuple[ToldWeight, ...] | None, Field(max_length=MOST_COLUMNS)]
    givers: Annotated[
        tuple[Owner, ...], Field(max_length=MOST_OWNERS, exclude_if=operator.not_)
    ] = ()
    salt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    bands: Annotated[ToldBands | None, Field(exclude_if=_is_none)] = None

    def to_bytes(self) -> bytes:
        """Write the plaintext, filled up.

        Raises:
            SafeRoomError: `TOO_LARGE` past `SIZE`.
        """
        plaintext = self.model_dump_json().encode()
        if len(plaintext) > SIZE:
            raise SafeRoomError(Reason.TOO_LARGE, f"a model card of more than {SIZE} bytes")
        return plaintext.ljust(SIZE)  # JSON may end in spaces (RFC 8259 section 2)

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> ModelCard:
        """Read a plaintext; `MALFORMED` names the field."""
        parse_object(plaintext, SIZE)
        try:
            return cls.model_validate_json(plaintext)
        except ValidationError as error:
            raise SafeRoomError(Reason.MALFORMED, "a model card", field_faults(error)) from None

    def require_allowed(
        self, part: FitPart, others: Sequence[str] = (), givers: Sequence[str] = ()
    ) -> None:
        """Refuse with `BAD_PROOF` a card that tells other figures than a template lets it.

        Args:
            part: of the owner whose enclave trained.
            others: the names of the other owners' columns.
            givers: the other owners.
        """
        if [*self.givers] != [*givers]:
            raise SafeRoomError(Reason.BAD_PROOF, "the card is of other owners' columns")
        told = {
            FitFigure.ROWS: self.rows,
            FitFigure.AUC: self.auc,
            FitFigure.KS: self.ks,
            FitFigure.WEIGHTS: self.weights,
            FitFigure.BANDS: self.bands,
        }
        if {figure for figure, value in told.items() if value is not None} != {*part.releases}:
            raise SafeRoomError(Reason.BAD_PROOF, "the card tells other figures than were approved")
        named = None if self.weights is None else [one.column for one in self.weights]
        if named is not None and named != [*part.columns, *others]:
            raise SafeRoomError(Reason.BAD_PROOF, "the card has weights of other columns")
        if self.bands is not None and part.bands is not None:
            require_told(self.bands, part.bands.epsilon, part.bands.least)


def require_room(columns: Iterable[str]) -> None:
    """Refuse with `TOO_LARGE` columns whose weights a card may have no room for.

    Asked when a template is proposed: whether a card is told must not hang on the weights' signs.
    """
    size = _HEAD + sum(len(to_json(name)) + _WEIGHT for name in columns)
    if size > SIZE:
        rule = f"the weights of so many columns with such long names take {size} bytes of {SIZE}"
        raise SafeRoomError(Reason.TOO_LARGE, rule, [FieldFault("fit.releases", rule)])
