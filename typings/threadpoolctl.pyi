"""threadpoolctl, which comes with scikit-learn, ships no types; tests use this one of its names."""

from contextlib import AbstractContextManager

def threadpool_limits(limits: int) -> AbstractContextManager[object]: ...
