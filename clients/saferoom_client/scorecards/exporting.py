"""A card for other systems: PMML and ONNX. Both hold points and bins, and no counts of rows."""

from __future__ import annotations

from saferoom_client.scorecards.cards import card_of, saying_faults
from saferoom_client.scorecards.document import Scorecard


def card_as_pmml(card: Scorecard) -> bytes:
    """Write a card as PMML 4.4.

    Raises:
        SafeRoomError: `MALFORMED` naming what PMML cannot hold; `NOT_INSTALLED`.
    """
    with saying_faults("PMML"):
        from saferoom_models.scorecard.pmml_file import to_pmml  # noqa: PLC0415 - an extra

        return to_pmml(card_of(card), name=card.name, about=about(card))


def card_as_onnx(card: Scorecard) -> bytes:
    """Write a card as ONNX.

    Raises:
        SafeRoomError: `MALFORMED` naming what ONNX cannot hold; `NOT_INSTALLED`.
    """
    with saying_faults("ONNX"):
        from saferoom_models.scorecard.onnx_file import to_onnx  # noqa: PLC0415 - an extra

        return to_onnx(card_of(card), name=card.name, about=about(card))


def about(card: Scorecard) -> str:
    """Say in a sentence what a card is; the same in every language, for it goes to programs."""
    scale = card.scale
    told = (
        f"{scale.points:g} points are {scale.odds:g} without the event to one with it,"
        f" {scale.double:g} more are odds twice as good; made {card.time:%Y-%m-%d}"
    )
    if card.tables:
        owners = ", ".join(dict.fromkeys(each.owner for each in card.tables))
        return f"Scorecard {card.name}, of tables of {owners}: {told}."
    if card.joint is None:
        return f"Scorecard {card.name}: {told}."
    owners = ", ".join(card.joint.owners)
    return (
        f"One institution's half of a joint model, {card.joint.model}: {told}."
        f" The points of the half of {owners} are to be added; they are not in it."
    )
