"""Whether the host may write a process's memory to a disk.

An enclave cannot forbid it: what lies in a memfd is locked for nobody, and locking the rest needs a
privilege that it gives up. So it looks, and says so in its evidence. Its systemd unit forbids it
(`MemorySwapMax=0`).

Source: proc(5), /proc/swaps; the kernel's cgroup-v2.rst, memory.swap.max.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

FINDING: Final = "swap: this host may write memory to a disk"


def swap_findings(root: Path = Path("/")) -> tuple[str, ...]:
    """Give what is missing: nothing where no swap is on, or this process may use none.

    Args:
        root: of the file system.
    """
    try:
        devices = (root / "proc/swaps").read_text("utf-8", "replace").splitlines()[1:]
        if not devices or _is_forbidden(root):
            return ()
    except OSError as error:
        return (f"swap: not known whether there is any: {error.strerror}",)
    return (FINDING,)


def _is_forbidden(root: Path) -> bool:
    """Tell whether a control group of this process, or one above it, has no swap."""
    own = (root / "proc/self/cgroup").read_text("utf-8", "replace").splitlines()
    unified = [line.removeprefix("0::/") for line in own if line.startswith("0::/")]
    groups = root / "sys/fs/cgroup"
    for name in unified:
        folder = groups / name
        while True:
            limit = folder / "memory.swap.max"
            if limit.exists() and limit.read_text("ascii").strip() == "0":
                return True
            if folder == groups:
                break
            folder = folder.parent
    return False
