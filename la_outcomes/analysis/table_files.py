"""A table as files: CSV to compute with, HTML and DOCX for a manuscript; equal tables, equal bytes."""

from __future__ import annotations

import io
import zipfile
from html import escape
from pathlib import Path

import pandas as pd
from docx import Document
from docx.oxml.ns import qn
from docx.oxml.parser import OxmlElement
from docx.shared import Pt
from docx.table import Table

from la_outcomes.analysis.tables import for_reading
from la_outcomes.shards import atomic_path, write_text_atomic

LONGEST_DOCX = 200
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_STYLE = (
    "body{font:14px/1.4 Helvetica,Arial,sans-serif;margin:2rem}table{border-collapse:collapse;"
    "border-top:2px solid #1a1a1a;border-bottom:2px solid #1a1a1a}th{border-bottom:1px solid #1a1a1a;"
    "text-align:left;vertical-align:bottom}th,td{padding:.2rem .8rem .2rem 0}td{white-space:pre}"
)


def write_table(stem: Path, frame: pd.DataFrame, caption: str) -> None:
    """Write ``stem.csv`` (full precision), ``stem.html`` and ``stem.docx`` (as a reader sees it)."""
    with atomic_path(stem.with_name(stem.name + ".csv")) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
    shown = for_reading(frame)
    write_text_atomic(stem.with_name(stem.name + ".html"), _html(shown, caption))
    with atomic_path(stem.with_name(stem.name + ".docx")) as temporary:
        temporary.write_bytes(_docx(shown, caption))


def _html(shown: pd.DataFrame, caption: str) -> str:
    body = shown.to_html(index=False, border=0, justify="left")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(caption[:80])}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n<p>{escape(caption)}</p>\n{body}\n</body></html>\n"
    )


def _docx(shown: pd.DataFrame, caption: str) -> bytes:
    document = Document()
    document.styles["Normal"].font.name = "Arial"
    document.styles["Normal"].font.size = Pt(8)
    document.add_paragraph(caption)
    rows = [[str(name) for name in shown], *shown.head(LONGEST_DOCX).astype(str).to_numpy().tolist()]
    table = document.add_table(rows=len(rows), cols=shown.shape[1])
    for cells, line in zip(table._tbl.tr_lst, rows, strict=True):
        for cell, text in zip(cells.tc_lst, line, strict=True):
            run = cell.p_lst[0].add_r()
            run.text = text
    _head(table)
    if len(shown) > LONGEST_DOCX:
        document.add_paragraph(f"{len(shown) - LONGEST_DOCX:,} more rows are in the CSV.")
    content = io.BytesIO()
    document.save(content)
    return _without_dates(content.getvalue())


def _head(table: Table) -> None:
    """A rule above and below the headings and at the end, and headings repeated on each page."""
    borders = OxmlElement("w:tblBorders")
    for side in ("top", "bottom"):
        line = OxmlElement(f"w:{side}")
        line.set(qn("w:val"), "single")
        line.set(qn("w:sz"), "8")
        borders.append(line)
    table._tbl.tblPr.append(borders)
    first = table._tbl.tr_lst[0]
    repeated = OxmlElement("w:tblHeader")
    repeated.set(qn("w:val"), "true")
    first.get_or_add_trPr().append(repeated)
    for paragraph in first.iter(qn("w:r")):
        properties = paragraph.get_or_add_rPr()
        properties.append(OxmlElement("w:b"))


def _without_dates(content: bytes) -> bytes:
    """The same archive with one fixed time, so that equal tables are equal files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return packed.getvalue()
