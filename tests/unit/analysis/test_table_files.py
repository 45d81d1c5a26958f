"""Tables as CSV, HTML and DOCX: the same numbers in each, and the same bytes twice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from docx import Document

from la_outcomes.analysis.table_files import write_table

FRAME = pd.DataFrame(
    {
        "group": ["≤10 mL", "<b>"],
        "ccc": [0.912345, 0.9],
        "ccc_ci_low": [0.9, None],
        "ccc_ci_high": [0.92, None],
        "bias_ml": [-1.25, 2.0],
        "p_value": [0.0002, 0.04],
    }
)


def test_a_table_reads_the_same_in_every_format(tmp_path: Path) -> None:
    write_table(tmp_path / "table", FRAME, "A & B. n = 20.")
    assert pd.read_csv(tmp_path / "table.csv")["ccc"].iloc[0] == 0.912345
    html = (tmp_path / "table.html").read_text()
    assert "A &amp; B" in html
    assert "&lt;b&gt;" in html
    (shown,) = pd.read_html(tmp_path / "table.html")
    document = Document(str(tmp_path / "table.docx"))
    cells = [[cell.text for cell in row.cells] for row in document.tables[0].rows]
    assert cells[0] == ["Group", "CCC (95 % CI)", "Bias, mL", "p"] == list(shown.columns)
    assert cells[1] == ["≤10 mL", "0.912 (0.900 to 0.920)", "-1.25", "<0.001"]
    assert document.paragraphs[0].text == "A & B. n = 20."


def test_equal_tables_are_equal_files(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_table(tmp_path / name, FRAME, "A table")
    for suffix in (".csv", ".html", ".docx"):
        first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("first", "second"))
        assert first == second
