"""Watch that the room's log only ever grows; an auditor's member folder opens its entries too.

python examples/watch_log.py MEMBER-FOLDER
"""

import sys

from saferoom_client import Room, SafeRoomError

(folder,) = sys.argv[1:]

with Room.open(folder) as room:
    try:
        report = room.verify_log(whole=True, progress=lambda read, of: print(read, "of", of))
    except SafeRoomError as error:
        sys.exit(f"{error.reason}: {error.detail}")  # keep the evidence, and tell somebody

print(f"{report.checkpoint.size} entries, {report.opened} of them opened; the log only grew")
