"""Where the report's numbers come from: registry, models, runs, versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from la_outcomes import __version__
from la_outcomes.analysis.cohort import load_tables
from la_outcomes.analysis.study import Request
from la_outcomes.provenance import git_commit
from la_outcomes.shards import sha256_json

LIBRARIES = (
    "duckdb",
    "numpy",
    "pandas",
    "scipy",
    "lifelines",
    "statsmodels",
    "matplotlib",
    "jinja2",
    "typst",
)

_QUERIES = {
    "counts": "SELECT (SELECT count(*) FROM patients) AS patients,"
    " (SELECT count(*) FROM patients WHERE is_simulated) AS simulated_patients,"
    " (SELECT count(DISTINCT site) FROM patients) AS centres,"
    " (SELECT count(DISTINCT manufacturer) FROM scans WHERE modality = 'CT') AS vendors,"
    " (SELECT count(*) FROM scans) AS scans, (SELECT count(*) FROM la_measurements) AS la_measurements,"
    " (SELECT count(*) FROM ingested) AS result_shards",
    "cohorts": "SELECT cohort, count(*) AS patients FROM patients GROUP BY ALL"
    " ORDER BY patients DESC, cohort",
    "models": "SELECT name, kind, is_active, left(model_sha256, 12) AS sha256 FROM models"
    " ORDER BY kind, name, sha256",
    "runs": "SELECT command, package_version, left(git_commit, 12) AS git_commit, device, count(*) AS runs,"
    " min(started_at) AS first, max(started_at) AS last FROM runs GROUP BY ALL ORDER BY first, command",
    "simulators": "SELECT simulator_version, seed, count(*) AS patients FROM simulation_truth GROUP BY ALL"
    " ORDER BY ALL",
    "shards": "SELECT shard_sha256 FROM ingested ORDER BY shard_sha256",
}


def describe_sources(request: Request) -> dict[str, Any]:
    """Counts, models, runs and versions behind a report, as plain values.

    ``registry_content`` is one hash over all result shards taken in: equal registries have equal ones.
    """
    tables = load_tables(request.registry, _QUERIES)
    counts = {str(name): int(value) for name, value in tables["counts"].iloc[0].items()}
    return {
        "counts": counts,
        "cohorts": _rows(tables["cohorts"]),
        "models": _rows(tables["models"]),
        "runs": _rows(tables["runs"]),
        "simulators": _rows(tables["simulators"]),
        "registry_content": sha256_json(tables["shards"]["shard_sha256"].tolist()),
        "package_version": __version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "request": request.parameters,
    }


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    shown = table.astype(object).where(table.notna(), "")
    return [{str(name): str(value) for name, value in row.items()} for row in shown.to_dict("records")]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
