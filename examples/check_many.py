"""Ask about many subjects from asyncio, some at a time.

python examples/check_many.py MEMBER-FOLDER SUBJECT...
"""

import asyncio
import sys

from saferoom_client import AsyncRoom, Refused

AT_ONCE = 16  # the room refuses a caller more than 64 calls under way (TOO_MANY_REQUESTS)


async def main(folder: str, *subjects: str) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async with AsyncRoom.open(folder) as room:

        async def ask(subject: str) -> str:
            async with turn:
                try:
                    answer = await room.check(
                        "paid-enough", subject=subject, purpose="pre-loan", params={"least": 5000}
                    )
                except Refused as refusal:
                    return str(refusal.reason)
                return answer.truth

        for subject, told in zip(subjects, await asyncio.gather(*map(ask, subjects)), strict=True):
            print(subject, told)


asyncio.run(main(*sys.argv[1:]))
