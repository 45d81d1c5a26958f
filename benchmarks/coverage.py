"""Coverage and bias of the intervals in simulated cohorts whose effects are known; one thread, resumable.

    python benchmarks/coverage.py --store DIR [--cohorts 2000] [--only linear,ordinal] [--markdown FILE]

Every file of ``coverage_scenarios`` adds to the registry: ``SCENARIOS`` maps a name to a function that draws
one cohort from a generator and yields rows (interval, truth, estimate, ci_low, ci_high); ``KNOWN`` maps
(scenario, interval) to the reason why its coverage is not the nominal one; ``LARGEST_BIAS``, where given, the
bias a scenario may have. The rows of a cohort are appended
to ``DIR/NAME-SEED.jsonl`` and depend on name, seed and number of the cohort alone, so a stopped run continues
where it ended and a larger one keeps what there is.

A row is "ok" when its coverage is within 3 Monte-Carlo standard errors of 95 % and its bias below 2 % of the
truth or its scenario's own limit (of the SD of the estimates, where the truth is 0); "known" when KNOWN says
why not; "more cohorts" when it covers and its bias is above the limit by less than two of its own errors;
else "OUTSIDE", and the exit code is 4.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics``.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import importlib
import importlib.util
import json
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.analysis.covariance import FewClustersWarning

Row = tuple[str, float, float, float, float]
Scenario = Callable[[np.random.Generator], Iterable[Row]]
NOMINAL, LARGEST_BIAS = 0.95, 0.02
_FOLDER = Path(__file__).resolve().parent / "coverage_scenarios"


@dataclass(frozen=True)
class Registry:
    """All scenarios by name, the known reasons by (scenario, interval), and limits of bias other than 2 %."""

    scenarios: dict[str, Scenario]
    known: dict[tuple[str, str], str]
    limits: dict[str, float]


def registry() -> Registry:
    """Collect SCENARIOS and KNOWN of every module of ``coverage_scenarios``."""
    spec = importlib.util.spec_from_file_location(
        _FOLDER.name, _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    assert spec is not None
    sys.modules[_FOLDER.name] = importlib.util.module_from_spec(spec)
    scenarios: dict[str, Scenario] = {}
    known: dict[tuple[str, str], str] = {}
    limits: dict[str, float] = {}
    for path in sorted(_FOLDER.glob("[a-z]*.py")):
        module = importlib.import_module(f"{_FOLDER.name}.{path.stem}")
        added = getattr(module, "SCENARIOS", {})
        repeated = set(scenarios) & set(added)
        if repeated:
            raise SystemExit(f"{path.name} repeats the scenarios {sorted(repeated)}")
        scenarios |= added
        known |= getattr(module, "KNOWN", {})
        limits |= getattr(module, "LARGEST_BIAS", {})
    return Registry(scenarios, known, limits)


def generator(name: str, seed: int, cohort: int) -> np.random.Generator:
    """The stream of one cohort of one scenario."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), cohort])


def finished(path: Path) -> Iterator[list[Row]]:
    """Rows of the cohorts in a store; a line cut short by a kill is dropped from the file."""
    if not path.exists():
        return
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    yield from (json.loads(line) for line in whole.splitlines())


def extend(name: str, scenario: Scenario, path: Path, cohorts: int, seed: int) -> None:
    """Append cohorts until the store has ``cohorts`` of them."""
    done = sum(1 for _ in finished(path))
    started = time.process_time()
    with path.open("a") as store, warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        for cohort in range(done, cohorts):
            rows = [
                [interval, *map(float, numbers)]
                for interval, *numbers in scenario(generator(name, seed, cohort))
            ]
            store.write(json.dumps(rows) + "\n")
            store.flush()
    if cohorts > done:
        print(f"{name}: {cohorts - done} cohorts, {time.process_time() - started:.0f} CPU s", flush=True)


def summarise(
    name: str, rows: list[Row], known: dict[tuple[str, str], str], largest_bias: float = LARGEST_BIAS
) -> pd.DataFrame:
    """One row an interval: coverage in % with its Monte-Carlo error, bias in %, verdict and reason.

    "more cohorts": covers, and the bias found is above the limit by less than two of its own errors.
    """
    frame = pd.DataFrame(rows, columns=["interval", "truth", "estimate", "low", "high"])
    table = [
        _summary(name, str(interval), part, known, largest_bias)
        for interval, part in frame.groupby("interval", sort=False)
    ]
    return pd.DataFrame(table)


def _summary(
    name: str, interval: str, part: pd.DataFrame, known: dict[tuple[str, str], str], largest_bias: float
) -> dict[str, object]:
    n, truth = len(part), part["truth"]
    covered = float(((part["low"] <= truth) & (truth <= part["high"])).mean())
    spread = float(part["estimate"].std())
    scale = abs(float(truth.mean())) or spread or 1.0
    bias = float((part["estimate"] - truth).mean()) / scale
    error = sqrt(NOMINAL * (1 - NOMINAL) / n)
    bias_error = spread / sqrt(n) / scale
    covers = abs(covered - NOMINAL) <= 3 * error
    right = covers and abs(bias) < largest_bias
    undecided = covers and abs(bias) - 2 * bias_error < largest_bias
    reason = known.get((name, interval), "")
    return {
        "scenario": name,
        "interval": interval,
        "cohorts": n,
        "truth": float(truth.mean()),
        "coverage_percent": 100 * covered,
        "monte_carlo_se": 100 * error,
        "bias_percent": 100 * bias,
        "bias_monte_carlo_se": 100 * bias_error,
        "verdict": "ok" if right else "known" if reason else "more cohorts" if undecided else "OUTSIDE",
        "reason": "" if right else reason,
    }


def as_markdown(table: pd.DataFrame) -> str:
    """The summary as a table for ``docs/benchmarks/coverage.md``."""
    lines = [
        "| scenario | interval | cohorts | truth | coverage, % (MC SE) | bias, % (MC SE) | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        verdict = f"{row['verdict']}: {row['reason']}" if row["reason"] else row["verdict"]
        lines.append(
            f"| {row['scenario']} | {row['interval']} | {row['cohorts']:,} | {row['truth']:.4g} "
            f"| {row['coverage_percent']:.1f} ({row['monte_carlo_se']:.1f}) "
            f"| {row['bias_percent']:+.2f} ({row['bias_monte_carlo_se']:.2f}) | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Extend the stores, print the summary, and exit 4 if an interval is outside without a known reason."""
    everything = registry()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(everything.scenarios))
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = sorted(set(names) - set(everything.scenarios))
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}; there are {', '.join(everything.scenarios)}")
    arguments.store.mkdir(parents=True, exist_ok=True)
    tables = []
    for name in names:
        path = arguments.store / f"{name}-{arguments.seed}.jsonl"
        extend(name, everything.scenarios[name], path, arguments.cohorts, arguments.seed)
        rows = [row for cohort in list(finished(path))[: arguments.cohorts] for row in cohort]
        tables.append(summarise(name, rows, everything.known, everything.limits.get(name, LARGEST_BIAS)))
    table = pd.concat(tables, ignore_index=True)
    text = as_markdown(table)
    print(text, end="")
    if arguments.markdown:
        arguments.markdown.write_text(text)
    if (table["verdict"] == "OUTSIDE").any():
        raise SystemExit(4)


if __name__ == "__main__":
    main()
