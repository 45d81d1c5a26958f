"""Print the report as one HTML file with everything inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from la_outcomes.analysis.figures.base import FIGURE_DPI
from la_outcomes.shards import write_text_atomic

PIXELS_PER_INCH = 118


def write_page(folder: Path, document: Mapping[str, Any]) -> Path:
    """Render ``report.html`` into ``folder``, where the figures lie, and return its path."""
    environment = Environment(
        loader=PackageLoader("la_outcomes.reporting"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["picture"] = lambda file: _picture(folder / file)
    text = environment.get_template("report.html.j2").render(document)
    return write_text_atomic(folder / "report.html", text)


def _picture(path: Path) -> dict[str, Any]:
    """A PNG as data URI, so that the page needs no other file, and its width in pixels on the page."""
    content = path.read_bytes()
    pixels = int.from_bytes(content[16:20], "big")  # width in a PNG's header
    uri = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    return {"uri": uri, "width": round(pixels / FIGURE_DPI * PIXELS_PER_INCH)}
