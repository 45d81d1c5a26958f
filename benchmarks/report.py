"""The report at scale: seconds and memory of the whole report, and of complete-case answers, by patients.

Run: python benchmarks/report.py --patients 50000 [--whole] [--work DIR] [--limit-seconds S --limit-gb G]
Without --whole: scripts 1, 2, 6 and the complete-case common odds ratios of script 7 (no bootstrap, nothing
imputed, no spline). Each runs in a process of its own; prints CPU seconds, wall seconds and peak memory, and
exits with 1 where a limit is passed. The registry is simulated once into DIR and used again.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

SEED = 1


def make_registry(folder: Path, patients: int) -> Path:
    """A simulated registry in the default proportions of cohorts, made once."""
    from la_outcomes.registry.ingest import ingest
    from la_outcomes.simulation.clinical import cohort_sizes
    from la_outcomes.simulation.cohort import simulate_without_images
    from la_outcomes.simulation.parameters import load_parameters

    registry = folder / f"registry-{patients}.duckdb"
    if not registry.exists():
        shards = folder / f"shards-{patients}"
        sizes = cohort_sizes(load_parameters()["clinical"]["cohorts"], None, patients)
        simulate_without_images(shards, sizes, SEED)
        ingest([shards], registry)
    return registry


def whole_report(registry: Path, out: Path) -> None:
    """Every script, the page and the PDF."""
    from la_outcomes.analysis.study import Request
    from la_outcomes.errors import PartlyDoneError
    from la_outcomes.reporting.report import make_report

    try:
        make_report(Request(registry, out, seed=SEED))
    except PartlyDoneError as unanswered:
        print(unanswered.what)


def complete_case(registry: Path, out: Path) -> None:
    """Flow, description, risk factors, nested common odds ratios: complete cases, no resampling."""
    from la_outcomes.analysis.study import Request, load_study, run_study, script_paths

    request = Request(registry, out, seed=SEED)
    for path in script_paths():
        if path.stem[:2] in ("01", "02", "06"):
            started = time.monotonic()
            for line in run_study(load_study(path), request):
                print(f"  {path.stem}: {line}")
            print(f"  {path.stem}: {time.monotonic() - started:.0f} s")
    started = time.monotonic()
    odds_ratios(request)
    print(f"  nested common odds ratios: {time.monotonic() - started:.0f} s")


def odds_ratios(request: object) -> None:
    """The nested complete-case specifications of script 7."""
    from la_outcomes.analysis.cohort import load_cohort
    from la_outcomes.analysis.studies.common import NESTED_MRS, add_exposure, derive, main_cohort
    from la_outcomes.analysis.studies.outcome_mrs import nested_specifications

    patients, _ = main_cohort(derive(load_cohort(request.registry)))  # type: ignore[attr-defined]
    patients, exposure = add_exposure(patients, request)  # type: ignore[arg-type]
    for fitted in nested_specifications(patients, "mrs_3m", exposure, NESTED_MRS):
        row = fitted.row(exposure.name)
        print(f"  {fitted.name}: cOR {row['common_odds_ratio']:.3f}, n = {fitted.fit.n:,}")


def _child(work: Callable[[Path, Path], None], registry: Path, out: Path) -> None:
    started = time.monotonic()
    work(registry, out)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime + children.ru_utime + children.ru_stime
    peak = max(usage.ru_maxrss, children.ru_maxrss) / 1e6
    (out / "measured.txt").write_text(f"{cpu:.1f} {time.monotonic() - started:.1f} {peak:.2f}")


def measure(work: Callable[[Path, Path], None], registry: Path, out: Path) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak resident memory (GB) of the work in a process of its own."""
    out.mkdir(parents=True, exist_ok=True)
    process = get_context("spawn").Process(target=_child, args=(work, registry, out))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"the work ended with exit code {process.exitcode}")
    cpu, wall, peak = (float(value) for value in (out / "measured.txt").read_text().split())
    return cpu, wall, peak


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=50_000)
    parser.add_argument("--whole", action="store_true", help="the whole report with bootstrap and imputation")
    parser.add_argument("--work", type=Path, help="folder that keeps the registry")
    parser.add_argument("--limit-seconds", type=float, default=float("inf"), help="of CPU")
    parser.add_argument("--limit-gb", type=float, default=float("inf"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        registry = make_registry(folder, asked.patients)
        work = whole_report if asked.whole else complete_case
        out = folder / f"{work.__name__}-{asked.patients}"
        cpu, wall, peak = measure(work, registry, out)
    print(f"{work.__name__}, {asked.patients:,} patients: {cpu:.0f} CPU s, {wall:.0f} s wall, {peak:.2f} GB")
    if cpu > asked.limit_seconds or peak > asked.limit_gb:
        sys.exit(1)


if __name__ == "__main__":
    main()
