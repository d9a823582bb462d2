"""Fits of templates that ask for an odd number of rows take a minute; imported by a fork server."""

from __future__ import annotations

import time
from typing import Any

from saferoom_enclaves import fitting
from saferoom_enclaves.children.fit_jobs import Fit, Fitted

SLOW_ROWS = 1001
_fitted = fitting.fitted


def slow(store: Any, job: Fit, *files: Any) -> Fitted:
    """Fit a model, after a minute."""
    if job.least_rows == SLOW_ROWS:
        time.sleep(60)
    return _fitted(store, job, *files)


fitting.fitted = slow
