"""Help pages whose words go on in the next line, whole: Chinese has no spaces to break a line at.

Rich breaks lines of help between words, and cuts off what is longer than a line with an ellipsis.
"""

from __future__ import annotations

from typing import Final

from rich.text import Text
from typer import rich_utils


class _Folding(rich_utils.OptionHighlighter):
    """Typer's highlighter, through which every text of a help page goes."""

    def __call__(self, text: str | Text) -> Text:
        """Highlight a text, and let it be broken anywhere rather than cut off."""
        shown = super().__call__(text)
        shown.overflow = "fold"
        return shown


_FOLDING: Final = _Folding()


def fold_long_words() -> None:
    """Have the help pages of this process fold what Rich would cut off."""
    rich_utils.highlighter = _FOLDING
