"""``la-outcomes report``: run all analyses and gather them in one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.engine_options import ClusterOption, JobsOption, where_to_run
from la_outcomes.cli.registry_options import RegistryOption


def command(
    registry: RegistryOption,
    out: Annotated[Path, typer.Option("--out", help="folder; the page is OUT/reports/report.html")],
    population: Annotated[
        str | None, typer.Option("--population", help="SQL condition on analysis_cohort")
    ] = None,
    outcome: Annotated[str, typer.Option("--outcome", help="mrs_3m or mrs_discharge")] = "mrs_3m",
    exposure: Annotated[
        str, typer.Option("--exposure", help="la_volume_ml, wmh_volume_ml or none")
    ] = "la_volume_ml",
    seed: Annotated[int, typer.Option("--seed", help="of bootstrap and imputation")] = 1,
    disclosure: Annotated[
        bool, typer.Option("--disclosure", help="hide counts of 1 to 7, round others to 5, draw no patient")
    ] = False,
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
) -> None:
    """Run all analyses on a registry and gather them in one page that opens offline.

    Each script runs by itself: one that fails does not stop the others. Exit code 4 where a question had no
    answer; the page and the message say which and why.
    """
    from la_outcomes.analysis.study import Request
    from la_outcomes.reporting.report import make_report

    request = Request(registry, out, population, outcome, exposure, seed, disclosure)
    print(make_report(request, jobs=where_to_run(jobs, cluster)))
