"""Write the report's page: one HTML file with everything inside, numbered figures and tables."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from la_outcomes.analysis.figures.base import FIGURE_DPI
from la_outcomes.analysis.study import EXPOSURES, OUTCOMES, Request
from la_outcomes.analysis.tables import for_reading
from la_outcomes.shards import write_text_atomic

LONGEST_TABLE = 60
PIXELS_PER_INCH = 118


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


@dataclass(frozen=True)
class ShownTable:
    """A table as text: headings, rows, and how many rows only the CSV has."""

    number: int
    caption: str
    file: str
    headings: list[str]
    rows: list[list[str]]
    n_left_out: int


@dataclass(frozen=True)
class ShownFigure:
    """A figure as a data URI, so that the page needs no other file."""

    number: int
    caption: str
    file: str
    alt: str
    uri: str
    width: int


def write_page(folder: Path, sections: Sequence[Section], sources: dict[str, Any], request: Request) -> Path:
    """Render the page into ``folder`` and return its path."""
    environment = Environment(
        loader=PackageLoader("la_outcomes.reporting"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    figures, tables = count(1), count(1)
    text = environment.get_template("report.html.j2").render(
        sections=[_shown(folder, section, figures, tables) for section in sections],
        simulated=simulated_line(sources["counts"]),
        sources=sources,
        request=request,
        outcome=OUTCOMES[request.outcome],
        exposure=EXPOSURES[request.exposure],
    )
    return write_text_atomic(folder / "report.html", text)


def simulated_line(counts: dict[str, int]) -> str | None:
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


def _shown(folder: Path, section: Section, figures: Iterator[int], tables: Iterator[int]) -> dict[str, Any]:
    entry = section.entry or {"title": section.title, "figures": [], "tables": [], "headlines": []}
    return {
        "id": section.script,
        "entry": entry,
        "answered": section.entry is not None,
        "missing": section.missing,
        "figures": [_figure(folder, figure, next(figures)) for figure in entry["figures"]],
        "tables": [_table(folder, table, next(tables)) for table in entry["tables"]],
    }


def _figure(folder: Path, figure: dict[str, Any], number: int) -> ShownFigure:
    content = (folder / figure["file"]).read_bytes()
    uri = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    pixels = int.from_bytes(content[16:20], "big")  # width in a PNG's header
    width = round(pixels / FIGURE_DPI * PIXELS_PER_INCH)
    return ShownFigure(number, figure["caption"], figure["svg"], figure["alt"], uri, width)


def _table(folder: Path, table: dict[str, Any], number: int) -> ShownTable:
    types = str if table["is_text"] else None
    raw = pd.read_csv(folder / table["file"], keep_default_na=False, na_values=[""], dtype=types)
    shown = for_reading(raw.head(LONGEST_TABLE))
    return ShownTable(
        number=number,
        caption=table["caption"],
        file=table["file"],
        headings=[str(name) for name in shown.columns],
        rows=shown.to_numpy().tolist(),
        n_left_out=max(0, len(raw) - LONGEST_TABLE),
    )
