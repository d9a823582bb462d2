"""`python -I -B -m saferoom_enclaves`: one owner's enclave, started by its supervisor.

1  the fork server, before anything is read or imported
2  the launch document, from standard input; the fork server closes itself
3  the first half of the sandbox, while there is one thread: namespaces, limits, Landlock
4  the heavy imports
5  the second half: system calls
6  one line on standard output once it listens, and then it serves
"""

from __future__ import annotations

import sys

from saferoom_enclaves.children.forkserver import begin


def main() -> int:
    """Start, serve, and say how it ended."""
    # Step 1. What is imported later is not in the fork server: it stays as small as it is now.
    control = begin()
    from saferoom_enclaves.start import start  # noqa: PLC0415

    return start(control)


if __name__ == "__main__":
    sys.exit(main())
