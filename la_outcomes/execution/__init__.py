"""Run one function over many cases or tasks: here, in processes, or on a Dask cluster."""

from la_outcomes.execution.cases import map_cases
from la_outcomes.execution.dry_run import is_dry_run, start_work
from la_outcomes.execution.jobs import Cluster, Jobs
from la_outcomes.execution.outcomes import (
    DryRunEnd,
    Outcome,
    Verdict,
    count_statuses,
    describe_bug,
    raise_if_any_failed,
)
from la_outcomes.execution.progress import progress_bar
from la_outcomes.execution.stages import Stages
from la_outcomes.execution.values import map_values

__all__ = [
    "Cluster",
    "DryRunEnd",
    "Jobs",
    "Outcome",
    "Stages",
    "Verdict",
    "count_statuses",
    "describe_bug",
    "is_dry_run",
    "map_cases",
    "map_values",
    "progress_bar",
    "raise_if_any_failed",
    "start_work",
]
