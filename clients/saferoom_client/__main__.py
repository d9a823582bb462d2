"""Run the command line: `python -m saferoom_client`."""

from __future__ import annotations

from saferoom_client.start import main

if __name__ == "__main__":
    main()
