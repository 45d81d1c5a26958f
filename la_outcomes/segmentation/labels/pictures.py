"""Pictures of pairs for a person's eye: CT, carried FLAIR, label outline, checkerboard; a sheet of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.pictures import (
    BRAIN_WINDOW_HU,
    draw_legend,
    draw_panel,
    new_figure,
    pick_slices,
    save_png,
)
from la_outcomes.segmentation.labels.quality_control import FIGURES
from la_outcomes.shards import write_text_atomic

LABEL_COLOUR = "#ffb000"
CHECK_MM = 25.0
_ORDER = {"failed": 0, "review": 1, "accepted": 2}

_STYLE = """
body { font-family: sans-serif; background: #111; color: #eee; margin: 1.5em; }
figure { margin: 0 0 2em 0; } img { max-width: 100%; }
figcaption { margin: .4em 0; } .failed, .review { color: #ffb000; }
"""


def pair_png(path: Path, ct: Image, flair_on_ct: Image, label: npt.NDArray[Any], *, title: str) -> Path:
    """Four slices of a pair: CT with the label's outline, carried FLAIR with it, and their checkerboard.

    ``flair_on_ct`` and ``label`` (0/1) lie on the CT's grid.
    """
    outline = [(label, LABEL_COLOUR, "pseudo-label")]
    slices = pick_slices(ct, [label], 4)
    window = (
        (0.0, float(np.percentile(flair_on_ct.data[flair_on_ct.data > 0], 99.5)))
        if (flair_on_ct.data > 0).any()
        else (0.0, 1.0)
    )
    checked = _checkerboard(ct, flair_on_ct, window)
    figure, axes = new_figure(3, len(slices), title)
    for column, k in enumerate(slices):
        draw_panel(axes[column], ct, k, outline, window=BRAIN_WINDOW_HU)
        draw_panel(axes[len(slices) + column], flair_on_ct, k, outline, window=window)
        draw_panel(axes[2 * len(slices) + column], checked, k, [], window=(0.0, 1.0))
    draw_legend(figure, outline)
    return save_png(path, figure)


def _checkerboard(ct: Image, flair: Image, window: tuple[float, float]) -> Image:
    """Squares of about 25 mm taken in turn from the CT and from the inverted FLAIR, both scaled to 0..1."""
    low, high = BRAIN_WINDOW_HU
    dark = np.clip((ct.data - low) / (high - low), 0, 1)
    bright = np.clip(flair.data / window[1], 0, 1)
    sides = [np.arange(n) * step // CHECK_MM for n, step in zip(ct.shape[:2], ct.spacing_mm[:2], strict=True)]
    squares = (sides[0][:, None] + sides[1][None, :]) % 2 == 0
    return Image(np.where(squares[:, :, None], dark, bright).astype(np.float32), ct.affine)


def write_sheet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """One page of all pairs, worst first: failed, for review, accepted; each by its CSF correlation.

    Opens offline.

    ``rows`` are rows of ``pseudo_labels``; pictures are named relative to the page's folder.
    """
    ordered = sorted(rows, key=lambda row: (_ORDER[row["status"]], row.get("csf_correlation") or 0.0))
    body = "\n".join(_entry(row) for row in ordered)
    return write_text_atomic(
        path,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Pseudo-labels</title>'
        f"<style>{_STYLE}</style><h1>Pseudo-labels, worst first</h1>\n{body}\n</html>\n",
    )


def _entry(row: Mapping[str, Any]) -> str:
    name, status = escape(str(row["ct_scan_id"])), escape(str(row["status"]))
    figures = ", ".join(f"{key} {row[key]:.2f}" for key in FIGURES if row.get(key) is not None)
    said = f'<b>{name}</b> <span class="{status}">{status}</span> {escape(row.get("reason") or "")}'
    picture = row.get("picture_path")
    image = f'<img src="{escape(picture)}" alt="CT and carried FLAIR of {name}">' if picture else ""
    return f"<figure>{image}<figcaption>{said}<br>{escape(figures)}</figcaption></figure>"
