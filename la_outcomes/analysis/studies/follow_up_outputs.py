"""Tables, figures and result rows of death and recurrence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from la_outcomes.analysis.figures.survival import StepCurve, event_figure
from la_outcomes.analysis.names import in_words, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.baseline import quintile_groups
from la_outcomes.analysis.studies.common import Exposure, errors_in_words
from la_outcomes.analysis.studies.follow_up import (
    AT_RISK_DAYS,
    death_curves,
    death_table,
    fifth_groups,
    hazard_ratios,
    hazard_table,
    recurrence_curves,
    recurrence_table,
    subdistribution_row,
)
from la_outcomes.analysis.survival import log_rank
from la_outcomes.analysis.tables import interval, p_value


def deaths_by_fifth(outputs: Outputs, patients: pd.DataFrame, exposure: Exposure) -> None:
    """Kaplan-Meier mortality by fifth, with log-rank test."""
    groups = fifth_groups(patients, exposure, list(quintile_groups(patients[exposure.column]).values()))
    curves = death_curves(groups)
    everybody = pd.concat([rows.assign(group=name) for name, rows in groups.items()])
    test = log_rank(everybody["death_time"], everybody["death"], everybody["group"])
    said = f"Death within a year by fifth of {label(exposure.column)} (Kaplan-Meier); "
    said += f"log-rank p {p_value(test.p)}"
    outputs.table("deaths", death_table(curves), said, n=test.n)
    steps = {
        name: StepCurve(
            curve.table["time"].to_numpy(),
            100 * (1 - curve.table["survival"].to_numpy()),
            [curve.at_risk(day) for day in AT_RISK_DAYS],
        )
        for name, curve in curves.items()
    }
    outputs.figure(
        "deaths",
        event_figure(steps, "Died, %", AT_RISK_DAYS),
        said,
        alt="Rising curves of cumulative mortality by fifth of volume, with numbers at risk",
        n=test.n,
    )
    outputs.result(
        "log-rank chi2", test.chi2, specification="log-rank over fifths", n=test.n, term="fifth",
        p_value=test.p, outcome="death_days", exposure=exposure.column,
    )  # fmt: skip


def recurrences_by_fifth(outputs: Outputs, patients: pd.DataFrame, exposure: Exposure) -> None:
    """Cumulative incidence of recurrent stroke by fifth, death competing."""
    groups = fifth_groups(patients, exposure, list(quintile_groups(patients[exposure.column]).values()))
    curves = recurrence_curves(groups)
    n = sum(curve.n for curve in curves.values())
    said = f"Recurrent stroke within a year by fifth of {label(exposure.column)}; cumulative incidence "
    said += "(Aalen-Johansen) with death as competing event"
    outputs.table("recurrences", recurrence_table(curves), said, n=n)
    steps = {
        name: StepCurve(
            np.concatenate([[0.0], curve.table["time"].to_numpy()]),
            np.concatenate([[0.0], 100 * curve.table["incidence"].to_numpy()]),
            [int((groups[name]["recurrence_time"] >= day).sum()) for day in AT_RISK_DAYS],
        )
        for name, curve in curves.items()
    }
    outputs.figure(
        "recurrences",
        event_figure(steps, "Recurrent stroke, %", AT_RISK_DAYS),
        said,
        alt="Rising curves of recurrent stroke by fifth of volume, with numbers at risk",
        n=n,
    )


def subdistribution(
    outputs: Outputs, patients: pd.DataFrame, exposure: Exposure, covariates: Sequence[str]
) -> None:
    """Recurrence with death competing: one regression of the cumulative incidence."""
    row = subdistribution_row(patients, exposure, covariates)
    said = f"Recurrent stroke within a year, death competing: subdistribution hazard ratio {exposure.words}, "
    said += f"adjusted for {in_words(covariates)}; read its direction, not its size"
    outputs.table("recurrence_subdistribution", pd.DataFrame([row]), said, n=int(str(row["n"])))
    ratio, low, high, p = (
        float(str(row[name])) for name in
        ("hazard_ratio", "hazard_ratio_ci_low", "hazard_ratio_ci_high", "p_value")
    )  # fmt: skip
    outputs.result(
        "subdistribution HR", ratio, specification="Fine and Gray, fully adjusted", n=int(str(row["n"])),
        ci=(low, high), p_value=p, term=exposure.column, outcome="recurrence_days", exposure=exposure.words,
    )  # fmt: skip


def hazards(
    outputs: Outputs,
    patients: pd.DataFrame,
    event: str,
    exposure: Exposure,
    nested: Mapping[str, Sequence[str]],
) -> None:
    """Hazard ratios of ``death`` or ``recurrence`` in nested Cox regressions."""
    fits = hazard_ratios(patients, f"{event}_time", event, exposure, nested)
    table = hazard_table(fits, exposure)
    n_clusters = next(iter(fits.values())).n_clusters
    kind = "death" if event == "death" else "recurrent stroke (cause-specific, deaths censored)"
    outputs.table(
        f"{event}_hazard_ratios",
        table,
        f"Cox regression of {kind} within a year: hazard ratio {exposure.words}; "
        f"{errors_in_words(n_clusters)}; nested on the same patients; beside it p of Grambsch and "
        "Therneau's test for non-proportional hazards",
        n=int(table["n"].iloc[0]),
    )
    last = table.iloc[-1]
    ratio = interval(last["hazard_ratio"], last["hazard_ratio_ci_low"], last["hazard_ratio_ci_high"])
    outputs.headline(
        f"{kind.capitalize()} within a year: hazard ratio {ratio} {exposure.words}, adjusted for "
        f"{last['specification']}, n = {last['n']:,}, {last['events']:,} events."
    )
    for _, row in table.iterrows():
        outputs.result(
            "HR",
            row["hazard_ratio"],
            specification=f"Cox, {row['specification']}: {in_words(nested[row['specification']]) or 'none'}",
            n=row["n"],
            ci=(row["hazard_ratio_ci_low"], row["hazard_ratio_ci_high"]),
            p_value=row["p_value"],
            term=exposure.column,
            outcome=f"{event}_days",
            exposure=exposure.words,
        )
