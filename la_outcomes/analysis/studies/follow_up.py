"""Death and recurrent stroke over time, by fifth of volume and per SD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from la_outcomes.analysis.results import complete_rows
from la_outcomes.analysis.studies.common import Exposure, cluster_column, quintiles, usable_terms
from la_outcomes.analysis.survival import (
    CoxFit,
    CumulativeIncidence,
    SurvivalCurve,
    cox_regression,
    cumulative_incidence,
    fit_fine_gray,
    kaplan_meier,
)
from la_outcomes.errors import StatisticsError

HORIZON_DAYS = 365.0
MOST_FINE_GRAY = 50_000
AT_RISK_DAYS = (0.0, 90.0, 180.0, 270.0, 365.0)


def add_follow_up(frame: pd.DataFrame, horizon: float = HORIZON_DAYS) -> pd.DataFrame:
    """Add ``death_time``, ``death`` (0/1), ``recurrence_time`` and ``recurrence`` (0, 1, 2 = died before).

    Follow-up ends at death, at the last contact or at the horizon, whichever is first. NaN where neither a
    contact nor an event is known. A day 0 event counts as half a day, so that nobody has no time at risk.

    Raises
    ------
    StatisticsError
        Nobody has follow-up.
    """
    death, recurrence = frame["death_days"].astype(float), frame["recurrence_days"].astype(float)
    seen = frame["last_seen_days"].astype(float)
    last = pd.concat([seen, death, recurrence], axis=1).max(axis=1)
    if last.notna().sum() == 0:
        raise StatisticsError(
            "nobody has follow-up: no death, recurrence or last contact", where="last_seen_days"
        )
    end = death.fillna(last).clip(upper=horizon)
    died = (death <= horizon).astype(float)
    first = recurrence.where(recurrence <= end, end)
    recurred = (recurrence <= end).astype(float)
    known = last.notna()
    return frame.assign(
        death_time=end.where(known).clip(lower=0.5),
        death=died.where(known),
        recurrence_time=first.where(known).clip(lower=0.5),
        recurrence=np.where(known, np.where(recurred == 1, 1.0, 2 * died), np.nan),
    )


def fifth_groups(frame: pd.DataFrame, exposure: Exposure, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Patients with follow-up by printed fifth of the exposure."""
    fifth = quintiles(frame[exposure.column])
    followed = frame["death_time"].notna()
    return {name: frame[(fifth == i + 1) & followed] for i, name in enumerate(names)}


def death_curves(groups: Mapping[str, pd.DataFrame]) -> dict[str, SurvivalCurve]:
    """Kaplan-Meier curve of each group."""
    return {name: kaplan_meier(rows["death_time"], rows["death"]) for name, rows in groups.items()}


def recurrence_curves(groups: Mapping[str, pd.DataFrame]) -> dict[str, CumulativeIncidence]:
    """Cumulative incidence of recurrence in each group, death competing."""
    return {
        name: cumulative_incidence(rows["recurrence_time"], rows["recurrence"])
        for name, rows in groups.items()
    }


def death_table(curves: Mapping[str, SurvivalCurve], day: float = HORIZON_DAYS) -> pd.DataFrame:
    """Mortality of each group at a day (or at its last follow-up before it), with deaths and patients."""
    rows = []
    for name, curve in curves.items():
        at = min(day, float(curve.table["time"].iloc[-1]))
        survival, low, high = curve.at(at)
        rows.append(
            {
                "group": name,
                "n": curve.n,
                "deaths": curve.n_events,
                "at_day": at,
                "mortality_percent": 100 * (1 - survival),
                "mortality_percent_ci_low": 100 * (1 - high),
                "mortality_percent_ci_high": 100 * (1 - low),
            }
        )
    return pd.DataFrame(rows)


def recurrence_table(curves: Mapping[str, CumulativeIncidence], day: float = HORIZON_DAYS) -> pd.DataFrame:
    """Cumulative incidence of recurrence in each group at a day, with events and competing deaths."""
    rows = []
    for name, curve in curves.items():
        incidence, low, high = curve.at(day)
        rows.append(
            {
                "group": name,
                "n": curve.n,
                "recurrences": curve.n_events,
                "deaths_before": curve.n_competing,
                "at_day": day,
                "incidence_percent": 100 * incidence,
                "incidence_percent_ci_low": 100 * low,
                "incidence_percent_ci_high": 100 * high,
            }
        )
    return pd.DataFrame(rows)


def hazard_ratios(
    frame: pd.DataFrame, days: str, event: str, exposure: Exposure, nested: Mapping[str, Sequence[str]]
) -> dict[str, CoxFit]:
    """Cox regressions of one event (code 1; others censored) on the exposure, on the same patients."""
    rows = frame.assign(**{event: (frame[event] == 1).astype(float).where(frame[event].notna())})
    widest = max(nested.values(), key=len)
    kept, _ = usable_terms(rows, list(widest))
    complete, _ = complete_rows(rows, [days, event, exposure.name, *kept], "drop")
    same = rows.loc[complete.index].reset_index(drop=True)
    cluster = cluster_column(same)
    return {
        name: cox_regression(
            same, days, event, [exposure.name, *[term for term in terms if term in kept]], cluster=cluster
        )
        for name, terms in nested.items()
    }


def subdistribution_row(
    frame: pd.DataFrame, exposure: Exposure, covariates: Sequence[str]
) -> dict[str, object]:
    """Fine and Gray's subdistribution hazard ratio of recurrence with death competing, fully adjusted.

    Raises
    ------
    StatisticsError
        As `fit_fine_gray`, or more than ``MOST_FINE_GRAY`` patients.
    """
    kept, _ = usable_terms(frame, list(covariates))
    needed = ["recurrence_time", "recurrence", exposure.name, *kept]
    complete, _ = complete_rows(frame, needed, "drop")
    if len(complete) > MOST_FINE_GRAY:
        raise StatisticsError(f"left out above {MOST_FINE_GRAY:,} patients", where="Fine and Gray")
    same = frame.loc[complete.index].reset_index(drop=True)
    fit = fit_fine_gray(
        same, "recurrence_time", "recurrence", [exposure.name, *kept], cluster=cluster_column(same)
    )
    own = fit.coefficients.set_index("term").loc[exposure.name]
    return {
        "specification": "subdistribution hazard (Fine and Gray), fully adjusted",
        "hazard_ratio": own["hazard_ratio"],
        "hazard_ratio_ci_low": own["ci_low"],
        "hazard_ratio_ci_high": own["ci_high"],
        "p_value": own["p"],
        "n": fit.n,
        "events": fit.n_events,
        "deaths_before": fit.n_competing,
    }


def hazard_table(fits: Mapping[str, CoxFit], exposure: Exposure) -> pd.DataFrame:
    """One row a specification: hazard ratio of the exposure, p of non-proportional hazards beside it."""
    rows = []
    for name, fit in fits.items():
        own = fit.coefficients.set_index("term").loc[exposure.name]
        proportional = fit.proportional_hazards.set_index("term")["p"]
        rows.append(
            {
                "specification": name,
                "hazard_ratio": own["hazard_ratio"],
                "hazard_ratio_ci_low": own["ci_low"],
                "hazard_ratio_ci_high": own["ci_high"],
                "p_value": own["p"],
                "n": fit.n,
                "events": fit.n_events,
                "non_proportional_p": proportional.loc[exposure.name],
            }
        )
    return pd.DataFrame(rows)
