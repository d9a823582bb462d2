"""Legal groups: which subjects count as one, by the code that each names as its group's.

Who names the code of another subject belongs with it, and a parent with those that name it, though
it names nobody; so do those along a chain of them. Whoever names none, and is named by none, is a
unit of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.sparse.csgraph import connected_components

from saferoom_enclaves.statistics.lattice import Integers
from saferoom_proto.stated import TAG_BYTES, in_form, tag_of
from saferoom_proto.statements.feature import StatedForm


def legal_groups(subjects: NDArray[np.bytes_], tags: NDArray[np.uint8]) -> Integers:
    """Number the legal group of each subject, shape (subjects,).

    Args:
        subjects: their codes.
        tags: of the code that each names, as stated values are tagged (`saferoom_proto.stated`);
            zeros where none is named. Shape (subjects, 16).
    """
    named = np.ascontiguousarray(tags).view(f"S{TAG_BYTES}").reshape(-1)
    names = tags.any(axis=1)
    own = np.array(
        [tag_of(in_form(code.decode(), StatedForm.CODE)) for code in subjects.tolist()],
        dtype=f"S{TAG_BYTES}",
    )
    # A graph of subjects and of the codes that are named: what hangs together is one group.
    codes = np.unique(named[names])
    from_named = np.flatnonzero(names)
    from_own = np.flatnonzero(np.isin(own, codes))
    subject = np.concatenate([from_named, from_own])
    code = np.searchsorted(codes, np.concatenate([named[from_named], own[from_own]]))
    nodes = len(subjects) + len(codes)
    edges = csc_array(
        (np.ones(len(subject)), (subject, len(subjects) + code)), shape=(nodes, nodes)
    )
    _, group = connected_components(edges, directed=False)
    return group[: len(subjects)].astype(np.int64)
