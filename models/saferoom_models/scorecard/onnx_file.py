"""A scorecard as ONNX: points of a row, and what each column lost it.

An input for each column, shape (rows, 1): numbers in doubles, NaN where there is none; classes as
texts. Outputs: `points`, shape (rows, 1); `lost`, shape (rows, columns), of the column's most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from saferoom_models.scorecard.binning import Classes, Interval
from saferoom_models.scorecard.card import Card, CardColumn
from saferoom_models.scorecard.faults import Fault, ScorecardError

OPSET: Final = 17
CLASSES_OPSET: Final = 3
IR: Final = 8
"""Of ONNX 1.12 (2022), so that older runtimes read it."""
POINTS: Final = "points"
LOST: Final = "lost"


def to_onnx(card: Card, *, name: str, about: str) -> bytes:
    """Write a card as ONNX.

    Args:
        card: the card.
        name: of the model.
        about: what it is, in a sentence.

    Raises:
        ScorecardError: `BAD_CARD` for a column named as an output is.
    """
    graph = _Graph()
    inputs: list[ValueInfoProto] = []
    for number, column in enumerate(card.columns):
        if column.name in (POINTS, LOST) or column.name.startswith(" "):
            detail = f"{column.name!r}: such a name is one of ours: name the column otherwise"
            raise ScorecardError(Fault.BAD_CARD, detail)
        kind = TensorProto.STRING if column.of_classes else TensorProto.DOUBLE
        inputs.append(helper.make_tensor_value_info(column.name, kind, [None, 1]))
        graph.column(number, column)
    model = helper.make_model(
        helper.make_graph(
            list(graph.finished(card.columns)),
            name,
            inputs,
            [
                helper.make_tensor_value_info(POINTS, TensorProto.INT64, [None, 1]),
                helper.make_tensor_value_info(LOST, TensorProto.INT64, [None, len(card.columns)]),
            ],
            graph.constants,
        ),
        opset_imports=[
            helper.make_opsetid("", OPSET),
            helper.make_opsetid("ai.onnx.ml", CLASSES_OPSET),
        ],
        ir_version=IR,
        producer_name="Saferoom",
        doc_string=about,
    )
    # The type of a path that it takes, too, is not whole.
    checker.check_model(model, full_check=True)  # pyright: ignore[reportUnknownMemberType]
    return _bytes(model)


class _Graph:
    """Nodes so far; inner names have a space before them, which no heading begins with."""

    def __init__(self) -> None:
        self.constants: Final[list[TensorProto]] = []
        self._nodes: Final[list[NodeProto]] = []

    def column(self, number: int, column: CardColumn) -> None:
        """Add what gives a column's points, as a column of whole numbers."""
        if column.of_classes:
            self._classes(number, column)
        else:
            self._numbers(number, column)

    def finished(self, columns: Sequence[CardColumn]) -> Iterator[NodeProto]:
        """Give all nodes, those of the outputs last."""
        yield from self._nodes
        most = self._constant(" most", np.array([[each.most for each in columns]], dtype=np.int64))
        axes = self._constant(" axes", np.array([1], dtype=np.int64))
        each = [f" points {number}" for number in range(len(columns))]
        yield helper.make_node("Concat", each, [" each"], axis=1)
        yield helper.make_node("ReduceSum", [" each", axes], [POINTS], keepdims=1)
        yield helper.make_node("Sub", [most, " each"], [LOST])

    def _classes(self, number: int, column: CardColumn) -> None:
        keys, values = list[str](), list[int]()
        for each, points in zip(column.binned.bins, column.points, strict=True):
            if isinstance(each.holds, Classes):
                keys += each.holds.names
                values += [points] * len(each.holds.names)
        self._nodes.append(
            helper.make_node(
                "LabelEncoder",
                [column.name],
                [f" points {number}"],
                domain="ai.onnx.ml",
                keys_strings=keys,
                values_int64s=values,
                default_int64=column.points[-1],
            )
        )

    def _numbers(self, number: int, column: CardColumn) -> None:
        """Add steps: the first bin's points, and at each bin's lower edge the difference to it."""
        known, missing = column.points[:-1], column.points[-1]
        lows = [
            each.holds.low
            for each in column.binned.bins
            if isinstance(each.holds, Interval) and each.holds.low is not None
        ]
        own = f" {number}"
        low = self._constant(f"{own} low", np.array([lows]))
        steps = self._constant(f"{own} steps", np.diff(known).astype(np.float64)[:, None])
        first = self._constant(f"{own} first", np.array([[float(known[0])]]))
        none = self._constant(f"{own} missing", np.array([[float(missing)]]))
        self._nodes.extend(
            [
                helper.make_node("GreaterOrEqual", [column.name, low], [f"{own} reached"]),
                helper.make_node(
                    "Cast", [f"{own} reached"], [f"{own} ones"], to=TensorProto.DOUBLE
                ),
                helper.make_node("MatMul", [f"{own} ones", steps], [f"{own} climbed"]),
                helper.make_node("Add", [f"{own} climbed", first], [f"{own} known"]),
                helper.make_node("IsNaN", [column.name], [f"{own} nan"]),
                helper.make_node("Where", [f"{own} nan", none, f"{own} known"], [f"{own} told"]),
                helper.make_node(
                    "Cast", [f"{own} told"], [f" points {number}"], to=TensorProto.INT64
                ),
            ]
        )

    def _constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def _bytes(model: ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)
