"""The picture of the rooms, drawn from the contract that lint-imports checks.

``python docs/_tools/rooms.py`` writes docs/images/rooms.svg; a test compares.
"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
WIDTH, HEIGHT, GAP, LEFT = 760, 58, 14, 20
SAYS = {
    "cli": "one file a verb",
    "reporting": "report.html, report.pdf",
    "review": "the review page",
    "pretraining": "the models that come along",
    "analysis": "statistics, tables, figures",
    "segmentation": "labels, training, volumes",
    "simulation": "patients with known truth",
    "exchange": "SEG, SR, PACS, BIDS",
    "registry": "DuckDB: ingest, views, audit",
    "imaging": "geometry, NIfTI, DICOM",
    "execution": "one function, many cases",
    "bulk": "shards of many rows",
    "dictionary": "what each column means",
    "provenance": "which run made a row",
    "shards": "whole-or-nothing result files",
    "errors": "what, where, hint, exit code",
}
COLOURS = {"analysis": "#e69f00", "registry": "#0072b2", "segmentation": "#009e73", "simulation": "#cc79a7"}


def layers() -> list[list[str]]:
    """Rooms from top to bottom, those of one level together."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (stacked,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [[room.strip().removeprefix("la_outcomes.") for room in level.split("|")] for level in stacked]


def picture() -> str:
    """The picture as SVG, one row a level."""
    levels = layers()
    height = len(levels) * (HEIGHT + GAP) + 70
    rows = [part for place, level in enumerate(levels) for part in _row(level, GAP + place * (HEIGHT + GAP))]
    below = len(levels) * (HEIGHT + GAP) + 34
    note = (
        "Each room imports only from rooms below it. Workers write shards; one ingester fills the registry."
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * LEFT} {height}" role="img" '
            'font-family="DejaVu Sans, Arial, sans-serif">',
            "<title>The rooms of la_outcomes, each on those it may import from</title>",
            f'<rect width="{WIDTH + 2 * LEFT}" height="{height}" fill="white"/>',
            *rows,
            f'<text x="{LEFT}" y="{below}" font-size="13" fill="#444">{note}</text>',
            "</svg>",
            "",
        ]
    )


def _row(level: list[str], y: int) -> list[str]:
    width = (WIDTH - GAP * (len(level) - 1)) / len(level)
    parts = []
    for place, room in enumerate(level):
        says = SAYS.get(room, "")
        x, colour = LEFT + place * (width + GAP), COLOURS.get(room, "#666666")
        parts += [
            f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{HEIGHT}" rx="6" fill="{colour}" '
            f'fill-opacity="0.12" stroke="{colour}"/>',
            f'<text x="{x + width / 2:g}" y="{y + 25}" font-size="17" font-weight="bold" '
            f'text-anchor="middle">{escape(room)}</text>',
            f'<text x="{x + width / 2:g}" y="{y + 45}" font-size="12.5" fill="#333" '
            f'text-anchor="middle">{escape(says)}</text>',
        ]
    return parts


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
