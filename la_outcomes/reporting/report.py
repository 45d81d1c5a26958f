"""Run every script of the study on a registry and gather what they leave in one page that opens offline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from la_outcomes.analysis.cohort import load_cohort
from la_outcomes.analysis.outputs import ENTRY
from la_outcomes.analysis.study import Request, load_study, run_study, script_paths
from la_outcomes.errors import PartlyDoneError
from la_outcomes.execution import Jobs, Verdict, map_cases
from la_outcomes.reporting.document import Section, build_document
from la_outcomes.reporting.page import write_page
from la_outcomes.reporting.pdf import write_pdf
from la_outcomes.reporting.sources import describe_sources
from la_outcomes.shards import sha256_file, write_text_atomic

FOLDER = "reports"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ScriptCase:
    """One script to run with one request."""

    path: Path
    request: Request

    @property
    def case_id(self) -> str:
        """Name of the script, and of the folder it writes to."""
        return self.path.stem

    @property
    def title(self) -> str:
        """The study's title as far as the name of the script tells it."""
        return self.case_id[3:].replace("_", " ").capitalize()

    @property
    def entry(self) -> Path:
        """Where the script leaves its manifest entry."""
        return self.request.out / self.case_id / ENTRY


def make_report(request: Request, *, jobs: Jobs = 1, scripts: Sequence[Path] | None = None) -> Path:
    """Run the scripts, each by itself, and write ``out/reports/report.html``, ``.pdf``, ``manifest.json``.

    ``request.out`` is the user's folder. A script that fails does not stop the others. Returns the page.

    Raises
    ------
    InputError, UsageError
        There is no registry, or the population is no condition; nothing is written.
    PartlyDoneError
        A script failed or a question had no answer; the page is written and says which and why.
    """
    load_cohort(request.registry, request.population)
    request = replace(request, out=request.out / FOLDER)
    cases = [ScriptCase(path, request) for path in (script_paths() if scripts is None else scripts)]
    for case in cases:
        case.entry.unlink(missing_ok=True)
    outcomes = map_cases(run_case, cases, jobs=jobs, label="analyses")
    sections = [
        Section(
            case.case_id, case.title, _read(case.entry), None if outcome.succeeded else str(outcome.reason)
        )
        for case, outcome in zip(cases, outcomes, strict=True)
    ]
    sources = describe_sources(request)
    document = build_document(request.out, sections, sources, request)
    page = write_page(request.out, document)
    pdf = write_pdf(request.out, document)
    _write_manifest(request.out, sections, sources, (page, pdf))
    _say_what_is_missing(sections, page)
    return page


def run_case(case: ScriptCase) -> Verdict:
    """Run one script; what it could not answer stands in its manifest entry."""
    run_study(load_study(case.path), case.request)
    return "done", None


def _read(entry: Path) -> dict[str, Any] | None:
    return json.loads(entry.read_text(encoding="utf-8")) if entry.exists() else None


def _write_manifest(
    folder: Path, sections: Sequence[Section], sources: dict[str, Any], pages: Sequence[Path]
) -> None:
    manifest = {
        "pages": [{"file": page.name, "sha256": sha256_file(page)} for page in pages],
        "sources": sources,
        "scripts": {section.script: section.entry or {"failed": section.failure} for section in sections},
    }
    write_text_atomic(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, default=str) + "\n")


def _say_what_is_missing(sections: Sequence[Section], page: Path) -> None:
    lines = [f"  {section.script}: {line}" for section in sections for line in section.missing]
    if lines:
        raise PartlyDoneError(
            "the report is written; without an answer are:\n" + "\n".join(lines),
            where=f"{FOLDER}/{page.name}",
        )
