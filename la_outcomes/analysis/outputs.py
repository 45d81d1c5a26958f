"""What a script leaves: tables (CSV, HTML, DOCX), figures (PNG, SVG, PDF), result rows, a manifest entry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from la_outcomes.analysis import protected
from la_outcomes.analysis.figures.base import save_figure
from la_outcomes.analysis.table_files import write_table
from la_outcomes.errors import StatisticsError
from la_outcomes.provenance import Run
from la_outcomes.shards import (
    atomic_path,
    canonical_json,
    sha256_file,
    sha256_json,
    write_shard,
    write_text_atomic,
)

ENTRY = "manifest_entry.json"
SHARD_KIND = "results"


class Outputs:
    """Collects what one script writes to ``out/<slug>``; earlier outputs of the same script are removed.

    Attributes
    ----------
    unanswered : one sentence a question that the data could not answer.
    notes : what a reader should know and that is no lack, such as points that were not drawn.
    is_simulated : None until `population` was called, then whether any patient is simulated.
    """

    def __init__(self, out: Path, slug: str, run: Run, outcome: str, exposure: str) -> None:
        self.out, self.folder, self.slug, self.run = out, out / slug, slug, run
        self.outcome, self.exposure = outcome, exposure
        self.population_sql: str = run.parameters.get("population") or "all patients"
        self.unanswered: list[str] = []
        self.notes: list[str] = []
        self.is_simulated: bool | None = None
        self._n: int | None = None
        self._tables: list[dict[str, Any]] = []
        self._figures: list[dict[str, Any]] = []
        self._headlines: list[str] = []
        self._results: dict[str, dict[str, Any]] = {}
        self._started = time.monotonic()
        self._clear()

    def population(self, patients: pd.DataFrame) -> None:
        """Say who the outputs are about: their number, and whether any is simulated.

        Raises
        ------
        StatisticsError
            Nobody is in the population.
        """
        self._n = len(patients)
        self.is_simulated = bool(patients["is_simulated"].any())
        if patients.empty:
            raise StatisticsError(
                "no patient is in the population",
                where=self.population_sql,
                hint="la-outcomes status shows what the registry holds",
            )

    def narrow(self, patients: pd.DataFrame, name: str) -> None:
        """Say that what follows is about these patients of the population only."""
        self._n = len(patients)
        self.is_simulated = bool(patients["is_simulated"].any())
        asked = self.run.parameters.get("population")
        self.population_sql = f"{name} within: {asked}" if asked else name

    @contextmanager
    def attempt(self, question: str) -> Iterator[None]:
        """Note as unanswered, with the reason, what the data inside cannot answer; the script goes on."""
        try:
            yield
        except StatisticsError as error:
            self.cannot(question, error.what + (f" ({error.where})" if error.where else ""))

    def cannot(self, question: str, reason: str) -> None:
        """Note a question as unanswered."""
        self.unanswered.append(f"{question}: {reason}")

    def note(self, text: str) -> None:
        """Tell the reader something that is no lack of an answer."""
        self.notes.append(text)

    def table(self, name: str, frame: pd.DataFrame, caption: str, *, n: int | None = None) -> None:
        """Write a table as CSV, HTML, DOCX; ``caption`` says what, the specification and the adjustment."""
        shown = protected.table(frame)
        said = self._caption(caption, n)
        write_table(self.folder / name, shown, said)
        is_text = all(shown[column].dtype == object for column in shown)
        files = {kind: f"{self.slug}/{name}.{kind}" for kind in ("html", "docx")}
        self._tables.append({**self._described(name, "csv", said), **files, "is_text": is_text})

    def figure(
        self,
        name: str,
        figure: Figure,
        caption: str,
        *,
        alt: str,
        n: int | None = None,
        shows_individuals: bool = False,
    ) -> None:
        """Write a figure as PNG, SVG and PDF; ``alt`` tells a blind reader what it shows.

        Under disclosure control a figure that ``shows_individuals`` is not written, and a note says so.
        """
        if shows_individuals and protected.is_protected():
            self.note(f"Not shown under disclosure control (a mark is one patient): {caption}.")
            return
        save_figure(figure, self.folder / name, simulated=bool(self.is_simulated))
        described = self._described(name, "png", self._caption(caption, n))
        files = {kind: f"{self.slug}/{name}.{kind}" for kind in ("svg", "pdf")}
        self._figures.append(described | files | {"alt": protected.sentence(alt)})

    def result(
        self,
        statistic: str,
        estimate: float,
        *,
        specification: str,
        n: int,
        ci: tuple[float, float] | None = None,
        **more: Any,
    ) -> str:
        """Add one printed number as a row of ``results`` and return its ``result_id``.

        ``more`` holds further columns (term, p_value, m, unit, and population, outcome or exposure where they
        differ from the request). The identifier depends on what was asked and found, so the same number
        keeps its identifier from run to run. Under disclosure control a number about up to 7 patients is
        left out.
        """
        hidden = protected.is_protected() and 0 < min(n, estimate if statistic == "count" else n) <= 7
        if statistic == "count":
            estimate = protected.shown_count(int(estimate))
        row: dict[str, Any] = {
            "analysis": self.slug,
            "specification": specification,
            "population": self.population_sql,
            "statistic": statistic,
            "estimate": float(estimate),
            "n": protected.shown_count(int(n)),
            "is_simulated": self.is_simulated,
            **({} if ci is None else {"ci_low": float(ci[0]), "ci_high": float(ci[1])}),
            **more,
        }
        result_id = f"{self.slug[:2]}-{sha256_json(row)[:10]}"
        if not hidden:
            self._results[result_id] = {"result_id": result_id, "run_id": self.run.run_id, **row}
        return result_id

    def headline(self, text: str) -> None:
        """Add a sentence for the top of the report: an answer with its n."""
        self._headlines.append(protected.sentence(text))

    def finish(self, about: Mapping[str, Any]) -> Path:
        """Write the results' shard and the manifest entry, and return the entry's path."""
        rows = list(self._results.values())
        self._write_shard(rows)
        if rows:
            self._write_results(rows)
        entry = {
            **about,
            "slug": self.slug,
            "n": None if self._n is None else protected.shown_count(self._n),
            "is_simulated": self.is_simulated,
            "headlines": self._headlines,
            "tables": self._tables,
            "figures": self._figures,
            "unanswered": [protected.sentence(line) for line in self.unanswered],
            "notes": self.notes,
            "n_results": len(rows),
            "m": max((row.get("m") or 0 for row in rows), default=0),
            "run": self.run.row(),
            "seconds": round(time.monotonic() - self._started, 2),
        }
        text = json.dumps(json.loads(canonical_json(entry)), indent=1, sort_keys=True)
        return write_text_atomic(self.folder / ENTRY, text + "\n")

    def _write_results(self, rows: list[dict[str, Any]]) -> None:
        """Every number with its identifier, for readers; the shard holds the same with the run."""
        frame = pd.DataFrame(rows).drop(columns="run_id")
        with atomic_path(self.folder / "results.csv") as temporary:
            frame.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")

    def _write_shard(self, rows: list[dict[str, Any]]) -> None:
        key = sha256_json([self.slug, dict(self.run.parameters)])
        finite = [{name: _storable(value) for name, value in row.items()} for row in rows]
        tables = {"runs": [self.run.row()], "results": finite}
        write_shard(self.out, kind=SHARD_KIND, case_id=self.slug, key=key, status="done", rows=tables)

    def _described(self, name: str, suffix: str, caption: str) -> dict[str, Any]:
        path = self.folder / f"{name}.{suffix}"
        return {
            "name": name,
            "file": f"{self.slug}/{path.name}",
            "caption": caption,
            "sha256": sha256_file(path),
            "bytes": path.stat().st_size,
        }

    def _caption(self, caption: str, n: int | None) -> str:
        number = self._n if n is None else n
        parts = [caption.rstrip(". ") + ".", f"n = {number:,}." if number is not None else ""]
        parts.append("Simulated data." if self.is_simulated else "")
        return protected.sentence(" ".join(part for part in parts if part))

    def _clear(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.suffix in (".csv", ".html", ".docx", ".png", ".svg", ".pdf") or path.name == ENTRY:
                path.unlink()


def _storable(value: Any) -> Any:
    """Infinite limits (an interval that has no end) are stored as NULL; shards hold finite numbers."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
