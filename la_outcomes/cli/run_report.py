"""``--report``: what a run did, as a file that can be passed on: counts, reasons, versions, nobody's name."""

from __future__ import annotations

import json
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from la_outcomes.errors import LaOutcomesError

if TYPE_CHECKING:
    from la_outcomes.execution import Outcome

ReportOption = Annotated[
    Path | None, typer.Option("--report", help="JSON file for counts, outcomes and versions of this run")
]
_PACKAGES = (
    "numpy", "scipy", "pandas", "duckdb", "nibabel", "pydicom", "SimpleITK", "picsl_greedy", "onnxruntime",
    "torch", "nnunetv2", "highdicom", "pynetdicom",
)  # fmt: skip


@dataclass
class RunReport:
    """Filled while a verb runs. ``counts`` are the verb's own figures."""

    command: str
    counts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    exit_code: int = 0

    def add(self, outcomes: Sequence[Outcome], *, with_reasons: bool = True) -> None:
        """Count what became of cases. Their names stay out, and so do the places that reasons mention."""
        from la_outcomes.execution import count_statuses

        self.statuses = count_statuses(outcomes)
        if with_reasons:
            self.reasons.update(_plain(one.reason) for one in outcomes if one.reason)


def _plain(reason: str) -> str:
    """A reason without where it arose: paths may name a person."""
    return reason.split(" | where: ")[0].split(" | hint: ")[0]


@contextmanager
def run_report(path: Path | None, command: str) -> Iterator[RunReport]:
    """Give a report to fill; it is written at the end, also where the verb fails. ``path`` None: never."""
    report, started, clock = RunReport(command), datetime.now(UTC), time.monotonic()
    try:
        yield report
    except LaOutcomesError as error:
        report.error, report.exit_code = error.what.split("\n")[0], error.exit_code
        raise
    finally:
        if path is not None:
            _write(path, report, started, time.monotonic() - clock)


def _write(path: Path, report: RunReport, started: datetime, seconds: float) -> None:
    from la_outcomes import __version__
    from la_outcomes.provenance import git_commit
    from la_outcomes.shards import write_text_atomic

    content = {
        "command": report.command,
        "started_at": started.replace(tzinfo=None).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "exit_code": report.exit_code,
        "error": report.error,
        "counts": report.counts,
        "outcomes": report.statuses,
        "reasons": dict(report.reasons.most_common()),
        "versions": {
            "la_outcomes": __version__, "git_commit": git_commit(), "python": platform.python_version(),
            "system": platform.system(), **_installed(),
        },
    }  # fmt: skip
    write_text_atomic(path, json.dumps(content, indent=1) + "\n")


def _installed() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
