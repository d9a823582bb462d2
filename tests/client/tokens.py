"""Tokens of SoftHSM, for tests of a key agent whose keys are on one."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
MODULE: Final = next((each for each in MODULES if Path(each).exists()), "")
IS_THERE: Final = bool(
    MODULE and shutil.which("softhsm2-util") and importlib.util.find_spec("pkcs11")
)
MISSING: Final = "SoftHSM or python-pkcs11 is not installed: apt-get install softhsm2, make setup"
PIN: Final = "482913"


class Tokens:
    """SoftHSM with a folder of its own. A process reads its configuration once."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder: Final = folder / "tokens"
        self.folder.mkdir()
        config = folder / "softhsm2.conf"
        config.write_text(
            f"directories.tokendir = {self.folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        patch.setenv("SOFTHSM2_CONF", str(config))
        self._pins: Final = folder

    def make(self, label: str) -> str:
        """Make a token; give its URI, with a file of its own for the PIN."""
        pin = self.pin_file(label)
        pin.write_text(f"{PIN}\n")
        pin.chmod(0o600)
        command = ("softhsm2-util", "--init-token", "--free", "--label", label)
        subprocess.run([*command, "--pin", PIN, "--so-pin", "77777777"], check=True)
        return f"pkcs11:token={label};object=saferoom?module-path={MODULE}&pin-source=file:{pin}"

    def pin_file(self, label: str) -> Path:
        """Name the file that holds a token's PIN."""
        return self._pins / f"{label}.pin"
