"""The common part of evidence: holding it is the proof that a step was taken.

    Asked ─▶ Admitted ─▶ Charged ─▶ Sealed[...] ───▶ Released          (admit, charge, gate)
    Inquired ─▶ Appraised ─────────────────────────▶ Released          (appraise, gate)
    Claimed ──────────────────────▶ Sealed[Held] ──▶ Released          (claim, gate)
    Asked, AskedList ─▶ AdmittedReport ─▶ SealedReport ─▶ ReleasedReport
                                                                       (reports: admit, gate)
    AskedTable ─▶ AdmittedTable ─▶ ChargedTable ─▶ SealedTables ─▶ ReleasedTables
                                    (tables: admit, charge, gate)
    AskedBatch ─▶ AdmittedRows ─▶ ChargedRows ─▶ SealedRows ─▶ ReleasedRows
                                                  (batches: admit, charge, gate)
    AskedJob ─▶ AdmittedJob ─▶ ChargedJob ─▶ SealedModel ─▶ ReleasedJob
                                                  (jobs: admit, charge, gate)
                              ChargedJob ─▶ SealedColumns ─▶ ReleasedColumns      (jobs: columns)
    AskedFit ─▶ AdmittedFit ─▶ ChargedFit ─▶ SealedFit ─▶ ReleasedFit   (fits: admit, charge, gate)
    Needed ─▶ a record is fetched for an allowed question          (fetched: wanting)

Each kind is made in one module only. Its constructor asks for a right whose class is private to
that module, so a forged one does not type-check; and for the one right there is, so it fails when
it is run. None can be copied, pickled or made again with other contents.
"""

from __future__ import annotations

from typing import NoReturn, SupportsIndex


class Right:
    """The right to make one kind of evidence. Each maker derives a private class and keeps one."""

    __slots__ = ()

    def require(self, given: object) -> None:
        """Refuse to make evidence for whoever does not hold this very right."""
        if given is not self:
            raise TypeError("evidence is made by its own step only")


class Evidence:
    """A thing that cannot be copied or written down."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(f"{type(self).__name__} stays where it was made")

    def __copy__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} stays where it was made")

    def __deepcopy__(self, memo: object, /) -> NoReturn:
        raise TypeError(f"{type(self).__name__} stays where it was made")


class Hidden(Evidence):
    """Evidence made of records: it cannot be shown, compared or tested either."""

    __slots__ = ()

    def __repr__(self) -> NoReturn:
        raise _hidden()

    def __str__(self) -> NoReturn:
        raise _hidden()

    def __format__(self, format_spec: str, /) -> NoReturn:
        raise _hidden()

    def __eq__(self, other: object, /) -> NoReturn:
        raise _hidden()

    def __ne__(self, other: object, /) -> NoReturn:
        raise _hidden()

    def __hash__(self) -> NoReturn:
        raise _hidden()

    def __bool__(self) -> NoReturn:
        raise _hidden()


def _hidden() -> TypeError:
    return TypeError("what depends on a record leaves through the gate only")
