"""By whom uses are found: the subject asked about, and the owner asked.

A question is no statement of the log and stands beside it. It is shown to those whose use it is:
its institution, the subject that it asks about, and the owners whose enclaves were asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from saferoom.state.rows import AskedRow, RequestRow, UseRow
from saferoom_proto.asked import open_question, subject_of
from saferoom_proto.dsse import Envelope
from saferoom_proto.reasons import SafeRoomError

_CODE: Final = re.compile("[0-9A-Z]{18}", re.ASCII)
"""A subject's code: no owner's name looks like one."""


def concerning(
    whom: Iterable[str], request_id: str, entry_idx: int | None = None
) -> tuple[UseRow | AskedRow, ...]:
    """Give the rows by which a word on a question is found; none if it concerns nobody.

    Args:
        whom: the owner's name, the subject's code.
        request_id: the question's digest.
        entry_idx: the word's entry, if it was recorded earlier.
    """
    rows = tuple(UseRow(each, entry_idx) for each in whom)
    return (AskedRow(request_id, entry_idx), *rows) if rows else ()


def answered(
    owner: str, subject: str, request_id: str, entry_idx: int | None = None
) -> tuple[UseRow | AskedRow, ...]:
    """Give the rows by which an enclave's word on a question is found.

    Args:
        owner: whose enclave.
        subject: as the question names it.
        request_id: the question's digest.
        entry_idx: the word's entry, if it was recorded earlier.
    """
    about = (subject,) if _CODE.fullmatch(subject) else ()
    return concerning((owner, *about), request_id, entry_idx)


def refused(
    question: Envelope, institution: str, owner: str | None
) -> tuple[RequestRow | UseRow | AskedRow, ...]:
    """Give what is kept of a question that the room refuses, and by whom the refusal is found.

    A question that is not well formed, or another institution's, is about nobody; nor is it kept:
    nobody fills the disk with what an enclave would not read.
    """
    own = () if owner is None else (owner,)
    try:
        request = open_question(question)
    except SafeRoomError:
        return concerning(own, question.digest)
    if request.institution != institution:
        return concerning(own, question.digest)
    subject = subject_of(request)
    about = () if subject is None else (subject,)
    return (RequestRow(institution, question), *concerning((*about, *own), question.digest))
