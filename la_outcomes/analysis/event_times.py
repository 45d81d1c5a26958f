"""Times from onset and what happened then, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from la_outcomes.analysis.results import FloatArray, Missing, complete
from la_outcomes.errors import StatisticsError


def times_and_events(
    days: ArrayLike, event: ArrayLike, missing: Missing, allowed: set[float]
) -> tuple[list[FloatArray], int]:
    """Return [times, events] and how many rows were dropped; refuse negative times and unknown events."""
    columns, n_missing = complete({"days": days, "event": event}, missing)
    time, code = columns
    if time.min() < 0:
        raise StatisticsError("a time is negative", where="days", hint="count from onset")
    if not set(np.unique(code)) <= allowed:
        raise StatisticsError(
            f"events are coded {sorted(set(np.unique(code)))}",
            where="event",
            hint=f"allowed: {sorted(allowed)}",
        )
    return columns, n_missing


def require_events(happened: FloatArray) -> None:
    """Refuse data in which nobody had the event."""
    if not happened.any():
        raise StatisticsError("nobody had the event", where="event", hint="report the number at risk")
