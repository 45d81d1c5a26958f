"""Table, specification curve and result rows of one main estimate."""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.specification_curve import curve_figure
from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.sensitivity import MAIN, MainEstimate, specification_curve
from la_outcomes.analysis.study import Request
from la_outcomes.analysis.tables import interval, records


def write_curve(
    outputs: Outputs, patients: pd.DataFrame, request: Request, column: str, main: MainEstimate
) -> None:
    """The estimate under each alternative, one at a time."""
    table, refused = specification_curve(patients, request.outcome, column, main, request.seed)
    n = int(table["n"].max())
    said = f"{main.printed}, {label(column)}, under one alternative choice at a time"
    outputs.table(main.name, table, said, n=n)
    outputs.figure(
        main.name, curve_figure(table, main.printed, ratio=main.ratio),
        said + "; filled: the main choice; below: which choice was changed", n=n,
        alt=f"Specification curve of {main.printed}: estimates in order of size with their intervals",
    )  # fmt: skip
    asked = {name: why for name, why in refused.items() if not why.startswith(("not asked", "the "))}
    if asked:
        lines = "; ".join(f"{name} ({why})" for name, why in asked.items())
        outputs.note(f"{main.printed}, alternatives without an estimate: {lines}.")
    for row in records(table):
        outputs.result(
            main.name.replace("_", " "), row["estimate"],
            specification=f"{row['choice']}: {row['alternative']}", n=row["n"],
            ci=(row["ci_low"], row["ci_high"]), term=column,
        )  # fmt: skip
    own = records(table[table["choice"] == MAIN])[0]
    low, high = table["estimate"].min(), table["estimate"].max()
    outputs.headline(
        f"{main.printed}: {interval(own['estimate'], own['ci_low'], own['ci_high'])}; over {len(table) - 1} "
        f"alternatives {low:.2f} to {high:.2f}, n = {own['n']:,}."
    )
