"""Tables and figures of the flow, by cohort and by centre."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from la_outcomes.analysis.figures.flow import centres_figure, cohorts_figure
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.cohort_flow import (
    Condition,
    flow_by_centre,
    flow_by_cohort,
    flows_of_cohorts,
)

MOST_CENTRES = 40


def by_cohort(
    outputs: Outputs, patients: pd.DataFrame, conditions: Sequence[Condition], name: str, said: str
) -> None:
    """A table with reasons, and the diagrams of the cohorts side by side."""
    outputs.table(name, flow_by_cohort(patients, conditions), f"{said}, by cohort")
    flows = flows_of_cohorts(patients, conditions)
    outputs.figure(
        f"{name}_by_cohort",
        cohorts_figure(flows),
        f"{said}, by cohort; between the boxes: who was left out, and why",
        alt=f"{said}. "
        + "; ".join(
            f"{cohort}: " + ", ".join(f"n = {box.n}" for box in flow) for cohort, flow in flows.items()
        ),
    )


def by_centre(outputs: Outputs, patients: pd.DataFrame, conditions: Sequence[Condition]) -> None:
    """A row, and a bar, a centre; of very many centres only the table."""
    table = flow_by_centre(patients, conditions)
    table["centre"] = table["centre"].fillna("not known")
    outputs.table("flow_by_centre", table, "Patients at each step, by centre")
    if len(table) > MOST_CENTRES:
        outputs.note(f"{len(table)} centres are in the table alone.")
        return
    outputs.figure(
        "flow_by_centre",
        centres_figure(table),
        "Patients at each step, by centre; the bars lie one inside the other",
        alt=f"Bars of the number of patients at each step in {len(table)} centres",
    )
