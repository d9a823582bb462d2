"""Ask one question, and keep the receipt.

python examples/check.py MEMBER-FOLDER SUBJECT
"""

import sys
from pathlib import Path

from saferoom_client import Refused, Room

folder, subject = sys.argv[1:]

with Room.open(folder) as room:
    try:
        answer = room.check(
            "paid-enough", subject=subject, purpose="pre-loan", params={"least": 5000}
        )
    except Refused as refusal:
        # Programs go by the reason; the words are for people.
        sys.exit(f"{refusal.reason}: {refusal.words.what} {refusal.words.next_step}")

print(answer.truth)  # yes, no or not_found
print(f"at most {answer.bits:.2f} bits beyond what was asked before")
Path("receipt.json").write_bytes(answer.receipt.to_json())
