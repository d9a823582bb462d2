"""Drawings of bars and curves, for pages that people read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from saferoom_client.extras import Extra, needing

if TYPE_CHECKING:
    from matplotlib.figure import Axes

_SETTINGS: Final = {"svg.fonttype": "none", "svg.hashsalt": "saferoom", "text.parse_math": False}
_NO_METADATA: Final = {"Creator": None, "Date": None, "Format": None, "Type": None}


def require_drawing() -> None:
    """Refuse before anything is asked, if there is nothing to draw with.

    Raises:
        SafeRoomError: `NOT_INSTALLED`.
    """
    bars([], {})


def bars(labels: list[str], series: dict[str, list[float]], *, flat: bool = False) -> str:
    """Draw bars as SVG, without a script, a font or a file from elsewhere.

    Text stays text, which the reader's own fonts set: those of the library have no Chinese.
    """
    whole = len(labels) * len(series)

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(series.items()):
            places = [at + number / (len(series) + 1) for at in range(len(labels))]
            bar = axes.barh if flat else axes.bar
            bar(places, values, 0.9 / len(series), label=name)
        (axes.set_yticks if flat else axes.set_xticks)(range(len(labels)), labels)
        if flat:
            axes.invert_yaxis()
        if len(series) > 1:
            axes.legend()
        else:
            (axes.set_xlabel if flat else axes.set_ylabel)("".join(series))

    return _drawn((7, 1 + 0.3 * whole if flat else 2.6), draw)


def curve(points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """Draw straight lines between points of shares, beside the diagonal; as `bars`."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], linestyle="dashed", color="grey")
        axes.plot([each[0] for each in points], [each[1] for each in points], marker="o")
        axes.set_xlabel(across)
        axes.set_ylabel(up)

    return _drawn((7, 3.4), draw)


def _drawn(size: tuple[float, float], draw: Callable[[Axes], None]) -> str:
    with needing(Extra.MODELLING, "a page with charts"):
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    drawn = io.StringIO()
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(drawn, format="svg", metadata=_NO_METADATA)
    # What stands before the drawing is for files of their own.
    return drawn.getvalue().partition("<svg")[2].join(("<svg", ""))
