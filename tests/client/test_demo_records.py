"""The demo's records: in a checkout, and not in what `pip install` brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from saferoom_client.demo import data
from saferoom_proto.reasons import Reason, SafeRoomError


def test_without_them_the_demo_says_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert len(data.read_records().borrowers) == 30_000

    def installed(package: str) -> Path:
        return tmp_path / package

    monkeypatch.setattr(data, "files", installed)
    with pytest.raises(SafeRoomError, match="not installed") as refused:
        data.read_records()
    assert refused.value.reason is Reason.BAD_CONFIG
    assert "checkout" in str(refused.value.__notes__)
