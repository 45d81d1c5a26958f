"""What the report says, once, as plain values: the HTML page and the PDF are two prints of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from la_outcomes.analysis.figures.base import save_figure
from la_outcomes.analysis.figures.dag import ALT, CAPTION, dag_figure
from la_outcomes.analysis.protected import count_text, protecting
from la_outcomes.analysis.study import EXPOSURES, OUTCOMES, Request
from la_outcomes.analysis.tables import for_reading
from la_outcomes.reporting.checklist import fill_checklists
from la_outcomes.reporting.methods import methods_paragraphs, report_facts

LONGEST_TABLE = 60
DIAGRAM = "causal_diagram"
TITLE = "Leukoaraiosis on CT and stroke outcome"


@dataclass(frozen=True)
class Section:
    """What one script left: its manifest entry (None where it failed) and why it failed."""

    script: str
    title: str
    entry: dict[str, Any] | None
    failure: str | None

    @property
    def missing(self) -> list[str]:
        """One sentence for each thing the reader will not find."""
        if self.failure is not None or self.entry is None:
            return [f"the script failed: {self.failure or 'it left no entry'}"]
        return list(self.entry["unanswered"])

    @property
    def has_answer(self) -> bool:
        """Whether it left a table or a figure."""
        return self.entry is not None and bool(self.entry["tables"] or self.entry["figures"])


def build_document(
    folder: Path, sections: Sequence[Section], sources: dict[str, Any], request: Request
) -> dict[str, Any]:
    """Return the whole report as plain values; writes the causal diagram into ``folder``.

    Figures and tables are numbered over the whole report; the diagram is figure 1.
    """
    figures, tables = count(1), count(1)
    facts = report_facts(sources, request, _n_tested(sections))
    with protecting(request.disclosure):
        counts = {name: count_text(n) for name, n in sources["counts"].items()}
    return {
        "title": TITLE,
        "subtitle": f"{counts['patients']} patients in the registry · population: "
        f"{request.population or 'all patients'} · outcome: {OUTCOMES[request.outcome]} · exposure: "
        f"{EXPOSURES[request.exposure]}" + (" · disclosure control on" if request.disclosure else ""),
        "simulated": simulated_line(sources["counts"]),
        "diagram": _diagram(folder, next(figures)),
        "sections": [_section(folder, section, figures, tables) for section in sections],
        "methods": methods_paragraphs(
            facts, sources, [s.entry for s in sections if s.entry and s.has_answer], request.seed
        ),
        "checklists": _checklists(facts, sections),
        "provenance": _provenance(sources, sections, counts),
    }


def simulated_line(counts: Mapping[str, int]) -> str | None:
    """The first line of a report with simulated patients in its registry; None where all are real."""
    simulated, everybody = counts["simulated_patients"], counts["patients"]
    if not simulated:
        return None
    if simulated == everybody:
        return (
            f"Simulated data: none of the {everybody:,} patients exists. No number here is about real people."
        )
    return (
        f"Contains simulated data: {simulated:,} of the {everybody:,} patients in the registry do not exist. "
        "Captions say where they are included."
    )


def _n_tested(sections: Sequence[Section]) -> int | None:
    entry = next((s.entry for s in sections if s.script.startswith("03") and s.has_answer), None)
    return entry["n"] if entry else None


def _diagram(folder: Path, number: int) -> dict[str, Any]:
    save_figure(dag_figure(), folder / DIAGRAM, simulated=False)
    return {
        "number": number, "caption": CAPTION, "alt": ALT, "file": f"{DIAGRAM}.png", "svg": f"{DIAGRAM}.svg",
        "pdf": f"{DIAGRAM}.pdf",
    }  # fmt: skip


def _section(folder: Path, section: Section, figures: Iterator[int], tables: Iterator[int]) -> dict[str, Any]:
    entry = section.entry or {"figures": [], "tables": [], "headlines": [], "notes": [], "n_results": 0}
    return {
        "id": section.script,
        "title": entry.get("title", section.title),
        "question": entry.get("question"),
        "population": entry.get("population"),
        "specification": entry.get("specification"),
        "headlines": entry["headlines"],
        "notes": entry["notes"],
        "missing": section.missing,
        "n_results": entry["n_results"],
        "results": f"{section.script}/results.csv" if entry["n_results"] else None,
        "figures": [{"number": next(figures), **_kept(figure)} for figure in entry["figures"]],
        "tables": [_table(folder, table, next(tables)) for table in entry["tables"]],
    }


def _kept(figure: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figure[name] for name in ("caption", "alt", "file", "svg", "pdf")}


def _table(folder: Path, table: Mapping[str, Any], number: int) -> dict[str, Any]:
    types = str if table["is_text"] else None
    raw = pd.read_csv(folder / table["file"], keep_default_na=False, na_values=[""], dtype=types)
    shown = for_reading(raw.head(LONGEST_TABLE))
    return {
        "number": number,
        "caption": table["caption"],
        "file": table["file"],
        "html": table["html"],
        "docx": table["docx"],
        "headings": [str(name) for name in shown.columns],
        "rows": shown.astype(str).to_numpy().tolist(),
        "n_left_out": max(0, len(raw) - LONGEST_TABLE),
    }


def _checklists(facts: Mapping[str, Any], sections: Sequence[Section]) -> list[dict[str, Any]]:
    answered = {s.script[:2]: s.entry["title"] for s in sections if s.entry and s.has_answer}
    return [
        {"title": found.title, "summary": found.summary, "items": [asdict(item) for item in found.items]}
        for found in fill_checklists(facts, answered)
    ]


def _provenance(
    sources: Mapping[str, Any], sections: Sequence[Section], counts: Mapping[str, str]
) -> dict[str, Any]:
    commit = f", commit {sources['git_commit']}" if sources["git_commit"] else ""
    libraries = ", ".join(f"{name} {number}" for name, number in sources["libraries"].items())
    asked = "; ".join(f"{k}: {'all' if v is None else v}" for k, v in sources["request"].items())
    facts = [
        ("Package", f"la_outcomes {sources['package_version']}{commit}"),
        ("Python", f"{sources['python']}; {libraries}"),
        ("Registry", ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items())),
        ("Content of the registry", f"{sources['registry_content']} (SHA-256 over all result shards)"),
        ("Asked for", asked),
    ]
    runs = [
        {"script": s.script, "run": s.entry["run"]["run_id"], "started (UTC)": s.entry["run"]["started_at"],
         "seconds": str(s.entry["seconds"]), "results": str(s.entry["n_results"])}
        for s in sections if s.entry
    ]  # fmt: skip
    tables = {"Models": sources["models"], "Simulators": sources["simulators"]}
    tables |= {"Runs behind the data": sources["runs"], "Runs of this report": runs}
    return {"facts": facts, "tables": [_rows(title, rows) for title, rows in tables.items() if rows]}


def _rows(title: str, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "title": title,
        "headings": [name.replace("_", " ") for name in rows[0]],
        "rows": [[str(cell) for cell in row.values()] for row in rows],
    }
