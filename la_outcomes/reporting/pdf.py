"""Print the report as PDF by typst, offline: its own fonts and matplotlib's, no package, no date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import typst

from la_outcomes.errors import LaOutcomesError
from la_outcomes.shards import atomic_path


def write_pdf(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write ``report.pdf`` into ``folder``, where the figures lie; equal documents give equal files.

    Raises
    ------
    LaOutcomesError
        typst refused the document.
    """
    template = resources.files("la_outcomes.reporting").joinpath("templates/report.typ").read_bytes()
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    try:
        content: bytes = typst.compile(  # type: ignore[misc]
            template, root=folder, font_paths=[fonts], ignore_system_fonts=True,
            sys_inputs={"document": json.dumps(document, ensure_ascii=False)},
        )  # fmt: skip
    except RuntimeError as error:
        raise LaOutcomesError(
            f"the PDF could not be printed: {error}", where="report.pdf", hint="the HTML page is whole"
        ) from error
    path = folder / "report.pdf"
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path
