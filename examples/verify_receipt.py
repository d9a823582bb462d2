"""Verify a receipt offline: no room is asked, only the keys that were pinned count.

python examples/verify_receipt.py MEMBER-FOLDER RECEIPT-FILE
"""

import sys
from pathlib import Path

from saferoom_client import Receipt, SafeRoomError, Trust, verify_receipt

folder, file = map(Path, sys.argv[1:])

trust = Trust.model_validate_json((folder / "trust.json").read_bytes())
try:
    verified = verify_receipt(Receipt.from_json(file.read_bytes()), trust)
except SafeRoomError as error:
    sys.exit(f"{error.reason}: {error.detail}")

print(verified.answer, "to", verified.request.institution, "about", verified.request.subject)
for owner, part in verified.parts.items():
    print(f"{owner}: {part.answer}, entry {part.index} of a log of {part.checkpoint.size}")
