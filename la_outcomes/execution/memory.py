"""How much memory this worker may use, so that a scan too large for it is refused instead of killing it."""

from __future__ import annotations

import os
import sys

from la_outcomes.errors import UsageError

VARIABLE = "LA_OUTCOMES_MEMORY_GB"


def memory_limit_bytes() -> int | None:
    """The limit from ``LA_OUTCOMES_MEMORY_GB``, else of the Dask worker this process is; None: no limit.

    Raises ``UsageError`` where the variable is no positive number.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return _dask_limit_bytes()
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = 0.0
    if not gigabytes > 0:
        raise UsageError(f"{VARIABLE} is not a positive number: {given!r}")
    return int(gigabytes * 1e9)


def _dask_limit_bytes() -> int | None:
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        limit = get_worker().memory_manager.memory_limit
    except ValueError:
        return None
    return None if limit is None else int(limit)
