"""What a second set of risks adds to a first, patient by patient: net reclassification and discrimination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import FloatArray, Missing, Result, columns_of, complete, normal_quantile
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class NetReclassification(Result):
    """Net reclassification improvement (see `nri`).

    Attributes
    ----------
    table : term (``events``, ``non-events``, ``overall``), estimate, se, z, p, ci_low, ci_high, up, down (the
        shares that moved). Report the first two; their sum hides which of them moved.
    kind : ``continuous`` or ``categorical``; ``cutoffs`` of the latter.
    counts : group, old, new, n (categorical only; empty otherwise).
    """

    table: pd.DataFrame
    kind: str
    cutoffs: tuple[float, ...]
    counts: pd.DataFrame
    n_events: int
    n_non_events: int
    n_missing: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


@dataclass(frozen=True)
class Discrimination(Result):
    """Integrated discrimination improvement (see `idi`); ``slope_*`` the models' discrimination slopes."""

    idi: float
    se: float
    ci_low: float
    ci_high: float
    z: float
    p: float
    events: float
    non_events: float
    slope_old: float
    slope_new: float
    n_events: int
    n_non_events: int
    n_missing: int


def nri(
    y: ArrayLike,
    old: ArrayLike,
    new: ArrayLike,
    cutoffs: Sequence[float] | None = None,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> NetReclassification:
    """Net reclassification improvement of risks ``new`` over ``old``, events and non-events apart.

    With up and down the shares whose risk (continuous) or risk category (``cutoffs``; a risk at a cut-off is
    in the higher one) rises and falls: events = up - down, non-events = down - up (Pencina et al. 2008, Stat
    Med 27:157; 2011, 30:11). Standard errors are the multinomial sqrt((up + down - (up - down)^2)/n); the
    continuous form equals R ``Hmisc::improveProb``.

    A supplement only: NRI is positive for worthless markers in miscalibrated models (Hilden and Gerds 2014,
    Stat Med 33:3405).

    Raises
    ------
    StatisticsError
        Risks outside 0 to 1, outcomes other than 0 and 1, no event or no non-event, cut-offs that do not
        rise, a group that moved as one.
    """
    y, old, new = columns_of(frame, y, old, new)
    z_level = normal_quantile(level)
    happened, first, second, n_missing = _risks(y, old, new, missing)
    edges = _cutoffs(cutoffs)
    counts = pd.DataFrame(columns=["group", "old", "new", "n"])
    if cutoffs is not None:
        first, second = (np.searchsorted(edges, risk, side="right").astype(float) for risk in (first, second))
        counts = _counts(happened, first, second, len(edges) + 1)
    moved = np.sign(second - first)
    rows = [
        _part(name, moved[happened == code], sign, z_level)
        for name, code, sign in (("events", 1, 1), ("non-events", 0, -1))
    ]
    table = pd.DataFrame([*rows, _overall(rows, z_level)])
    kind = "continuous" if cutoffs is None else "categorical"
    n_events = int(happened.sum())
    return NetReclassification(
        table, kind, tuple(edges), counts, n_events, len(happened) - n_events, n_missing
    )


def _part(name: str, moved: FloatArray, sign: int, z_level: float) -> dict[str, object]:
    up, down = float((moved > 0).mean()), float((moved < 0).mean())
    estimate, n = sign * (up - down), len(moved)
    error = float(np.sqrt((up + down - (up - down) ** 2) / n))
    return _row(name, estimate, error, z_level) | {"up": up, "down": down}


def _overall(rows: list[dict[str, object]], z_level: float) -> dict[str, object]:
    frame = pd.DataFrame(rows)
    error = float(np.sqrt((frame["se"] ** 2).sum()))
    return _row("overall", float(frame["estimate"].sum()), error, z_level) | {"up": None, "down": None}


def _row(name: str, estimate: float, error: float, z_level: float) -> dict[str, object]:
    if error == 0:
        raise StatisticsError(
            f"all {name} moved alike, or none did", where="new", hint="its standard error is not defined"
        )
    z = estimate / error
    return {
        "term": name,
        "estimate": estimate,
        "se": error,
        "z": z,
        "p": float(2 * stats.norm.sf(abs(z))),
        "ci_low": estimate - z_level * error,
        "ci_high": estimate + z_level * error,
    }


def _counts(happened: FloatArray, first: FloatArray, second: FloatArray, k: int) -> pd.DataFrame:
    rows = [
        {
            "group": group,
            "old": i,
            "new": j,
            "n": int(((happened == code) & (first == i) & (second == j)).sum()),
        }
        for group, code in (("events", 1), ("non-events", 0))
        for i in range(k)
        for j in range(k)
    ]
    return pd.DataFrame(rows)


def idi(
    y: ArrayLike,
    old: ArrayLike,
    new: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Discrimination:
    """Integrated discrimination improvement: by how much the mean risk of events rises, less that of others.

    IDI = mean(new - old | events) - mean(new - old | non-events), standard error from the two variances
    (Pencina et al. 2008, Stat Med 27:157, eq. 9-11; R ``Hmisc::improveProb``).

    Raises
    ------
    StatisticsError
        As `nri`, or risks that do not differ.
    """
    y, old, new = columns_of(frame, y, old, new)
    z_level = normal_quantile(level)
    happened, first, second, n_missing = _risks(y, old, new, missing)
    gain = second - first
    parts = [gain[happened == code] for code in (1, 0)]
    error = float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)))
    if error == 0:
        raise StatisticsError("the two sets of risks do not differ", where="new", hint="nothing to compare")
    events, others = (float(part.mean()) for part in parts)
    estimate = events - others
    slopes = [float(r[happened == 1].mean() - r[happened == 0].mean()) for r in (first, second)]
    return Discrimination(
        idi=estimate,
        se=error,
        ci_low=estimate - z_level * error,
        ci_high=estimate + z_level * error,
        z=estimate / error,
        p=float(2 * stats.norm.sf(abs(estimate / error))),
        events=events,
        non_events=-others,
        slope_old=slopes[0],
        slope_new=slopes[1],
        n_events=len(parts[0]),
        n_non_events=len(parts[1]),
        n_missing=n_missing,
    )


def _risks(
    outcome: ArrayLike, old: ArrayLike, new: ArrayLike, missing: Missing
) -> tuple[FloatArray, FloatArray, FloatArray, int]:
    (happened, first, second), n_missing = complete({"outcome": outcome, "old": old, "new": new}, missing)
    require_binary(happened, "outcome")
    for name, risk in (("old", first), ("new", second)):
        require_risk(risk, name)
    return happened, first, second, n_missing


def require_binary(happened: FloatArray, name: str) -> None:
    """Refuse an outcome that is not 0 and 1, both present."""
    if set(np.unique(happened)) != {0.0, 1.0}:
        raise StatisticsError(
            f"{name} must hold 0 and 1, both of them", where=name, hint=f"it holds {np.unique(happened)[:5]}"
        )


def require_risk(risk: FloatArray, name: str) -> None:
    """Refuse a risk outside 0 to 1."""
    if risk.min() < 0 or risk.max() > 1:
        raise StatisticsError(f"{name} holds values outside 0 to 1", where=name, hint="give probabilities")


def _cutoffs(cutoffs: Sequence[float] | None) -> FloatArray:
    edges = np.asarray(() if cutoffs is None else cutoffs, dtype=float)
    if cutoffs is not None and (
        len(edges) == 0 or np.any(np.diff(edges) <= 0) or edges[0] <= 0 or edges[-1] >= 1
    ):
        raise StatisticsError(
            "cut-offs must rise between 0 and 1", where="cutoffs", hint="such as [0.1, 0.3]"
        )
    return edges
