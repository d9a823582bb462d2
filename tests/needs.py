"""What some tests need of the machine, and are skipped without."""

from __future__ import annotations

from typing import Final

import pytest

from saferoom_client.report.pdf import require_pdf
from saferoom_proto.reasons import SafeRoomError


def _lacks_font() -> bool:
    try:
        require_pdf()
    except SafeRoomError:
        return True
    return False


chinese_font: Final = pytest.mark.skipif(
    _lacks_font(), reason="no font with Chinese characters: apt-get install fonts-noto-cjk"
)
"""For what writes PDF."""
