"""What begins the command line, before there is one."""

from __future__ import annotations

import subprocess
import sys

PRESSED = """
import os, runpy, signal, sys

class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Pressed())
sys.argv = ["saferoom", "--version"]
runpy.run_module("saferoom_client", run_name="__main__")
"""


def test_ctrl_c_ends_quietly_while_the_command_line_is_still_being_read() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESSED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
