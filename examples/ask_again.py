"""Ask so that no crash, broken line or deadline costs an answer or charges twice.

    python examples/ask_again.py MEMBER-FOLDER SUBJECT KEPT-FILE

The signed question is on the disk before it is sent. Run again with the same file, whatever
happened in between, it asks the same question, which brings the same answer and is charged once.
"""

import os
import sys
import time
from pathlib import Path

from saferoom_client import Question, Reason, Refused, Room

TRIES = 5
WORTH_A_TRY = {Reason.UNAVAILABLE, Reason.DEADLINE, Reason.STALE_HEAD, Reason.OUTBOX_WAITING}

folder, subject, kept = sys.argv[1:]


def keep(path: Path, question: Question) -> None:
    """Write the question for the owner of the file alone: it holds the key to its answer."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(question.to_json())
        file.flush()
        os.fsync(file.fileno())


with Room.open(folder, deadline_seconds=5) as room:
    path = Path(kept)
    if path.exists():
        question = Question.from_json(path.read_bytes())
    else:
        question = room.prepare(
            "paid-enough", subject=subject, purpose="pre-loan", params={"least": 5000}
        )
        keep(path, question)
    for attempt in range(TRIES):
        try:
            answer = room.ask(question)
        except Refused as refusal:
            if refusal.reason not in WORTH_A_TRY or attempt == TRIES - 1:
                raise
            time.sleep(2**attempt)
        else:
            print(answer.truth, answer.request_id)
            break
