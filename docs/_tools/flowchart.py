"""A Mermaid flowchart as SVG, since Mermaid itself is a script that a browser would have to fetch.

Nodes stand in rows by the longest chain of arrows that leads to them; within a row the order follows the
nodes they hang on, which keeps crossings few.
"""

from __future__ import annotations

import re
import textwrap
from graphlib import TopologicalSorter
from html import escape
from statistics import fmean

ACROSS, DOWN, BOX, LINE, LETTERS = 168, 112, 150, 15, 22
Places = dict[str, tuple[float, float]]


def svg(mermaid: str, title: str) -> str:
    """The picture of ``flowchart LR`` text with lines ``name["label"]`` and ``cause --> effect``."""
    labels = dict(re.findall(r'^\s*(\w+)\["(.+?)"\]\s*$', mermaid, flags=re.MULTILINE))
    edges = re.findall(r"^\s*(\w+) --> (\w+)\s*$", mermaid, flags=re.MULTILINE)
    places = _places(labels, edges)
    width = max(x for x, _ in places.values()) + BOX / 2 + 12
    height = max(y for _, y in places.values()) + DOWN / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        'font-family="DejaVu Sans, Arial, sans-serif">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>',
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        *(_arrow(places[cause], places[effect]) for cause, effect in edges),
        *(_box(label, places[name]) for name, label in labels.items()),
        "</svg>",
    ]
    return "\n".join([*parts, ""])


def _places(labels: dict[str, str], edges: list[tuple[str, str]]) -> Places:
    """Centre of each node."""
    causes = {name: {a for a, b in edges if b == name} for name in labels}
    row: dict[str, int] = {}
    for name in TopologicalSorter(causes).static_order():
        row[name] = 1 + max((row[cause] for cause in causes[name]), default=-1)
    across: dict[str, float] = {}
    for number in range(max(row.values()) + 1):
        members = [name for name in labels if row[name] == number]
        wanted = {n: fmean([across[c] for c in causes[n]]) if causes[n] else 0.0 for n in members}
        members.sort(key=lambda name: wanted[name])
        middle = (len(members) - 1) / 2
        across |= {name: place - middle for place, name in enumerate(members)}
    leftmost = min(across.values())
    return {
        name: (BOX / 2 + 12 + ACROSS * (across[name] - leftmost), DOWN * (row[name] + 0.5)) for name in labels
    }


def _box(label: str, place: tuple[float, float]) -> str:
    x, y = place
    lines = textwrap.wrap(label, LETTERS)
    height = 12 + LINE * len(lines)
    top = y - height / 2
    words = "".join(
        f'<text x="{x:g}" y="{top + 6 + LINE * (number + 0.78):g}" font-size="12" text-anchor="middle">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    )
    frame = (
        f'<rect x="{x - BOX / 2:g}" y="{top:g}" width="{BOX}" height="{height}" rx="5" fill="white" '
        'stroke="#0072b2"/>'
    )
    return frame + words


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x0, y0, x1, y1 = start[0], start[1] + 20, end[0], end[1] - 24
    bend = max(20.0, (y1 - y0) * 0.45)
    return (
        f'<path d="M{x0:g},{y0:g} C{x0:g},{y0 + bend:g} {x1:g},{y1 - bend:g} {x1:g},{y1:g}" fill="none" '
        'stroke="#666" stroke-opacity="0.55" marker-end="url(#tip)"/>'
    )
