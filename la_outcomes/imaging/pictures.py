"""Pictures of axial slices with masks outlined; the same input gives the same bytes.

Only single slices inside the cranium are drawn, never surfaces, so no face can be recognised. Slices are
shown as radiologists see them: from below, the patient's right on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Array, Image
from la_outcomes.shards import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Outline = tuple[Array, str, str]

BRAIN_WINDOW_HU = (0.0, 80.0)
_BELOW_TOP_MM = (20.0, 95.0)
_TISSUE_SHARE = 0.25
_PANELS_A_ROW = 4
_PANEL_INCHES = 2.4
_DPI = 110


def overlay_png(
    path: str | Path,
    image: Image,
    mask_outlines: Sequence[Outline],
    *,
    window: tuple[float, float] = BRAIN_WINDOW_HU,
    title: str,
    n_slices: int = 8,
) -> Path:
    """Draw axial slices of ``image`` with the outlines of masks (array on its grid, colour, label).

    Soft masks are outlined at one half. ``window`` gives the values shown black and white. Slices are
    taken as ``pick_slices`` says. Raises ``InputError`` where a mask has another shape than the image.
    """
    for mask, _, _ in mask_outlines:
        _check_mask(image, mask)
    slices = pick_slices(image, [mask for mask, _, _ in mask_outlines], n_slices)
    columns = min(len(slices), _PANELS_A_ROW)
    rows = -(-len(slices) // columns)
    figure, axes = new_figure(rows, columns, title)
    for axis, k in zip(axes, slices, strict=False):
        draw_panel(axis, image, k, mask_outlines, window=window)
    draw_legend(figure, mask_outlines)
    return save_png(path, figure)


def pick_slices(image: Image, masks: Sequence[Array], n_slices: int) -> list[int]:
    """At most ``n_slices`` axial slices (k, from below), evenly spread.

    They lie 20 to 95 mm below the top of what is imaged of the head, which is inside the cranium; where
    masks hold voxels there, from the lowest to the highest of these, one slice more on either side.
    """
    if n_slices < 1:
        raise InputError(f"a picture needs a slice at least, not {n_slices}")
    inside = cranial_slices(image)
    marked = [k for k in inside if any(mask[:, :, k].any() for mask in masks)]
    if marked:
        inside = [k for k in inside if marked[0] - 1 <= k <= marked[-1] + 1]
    chosen = np.linspace(0, len(inside) - 1, min(n_slices, len(inside)))
    return [inside[round(place)] for place in chosen]


def cranial_slices(image: Image) -> list[int]:
    """Slices from 20 to 95 mm below the head's top, by their distance along the slices' normal."""
    low, high = float(image.data.min()), float(np.percentile(image.data, 99))
    tissue = (image.data > low + _TISSUE_SHARE * (high - low)).sum(axis=(0, 1))
    present = np.flatnonzero(tissue >= 0.1 * max(int(tissue.max()), 1))
    top = int(present[-1]) if len(present) else image.shape[2] - 1
    spacing = image.voxel_volume_ml * 1000 / float(np.prod(image.spacing_mm[:2]))
    below = (top - np.arange(image.shape[2])) * spacing
    inside = np.flatnonzero((below >= _BELOW_TOP_MM[0]) & (below <= _BELOW_TOP_MM[1]))
    if len(inside):
        return [int(k) for k in inside]
    nearest = int(np.argmin(np.abs(below - np.mean(_BELOW_TOP_MM))))
    return [nearest]


def new_figure(rows: int, columns: int, title: str) -> tuple[Figure, list[Axes]]:
    """A dark figure of ``rows`` x ``columns`` empty panels; panels are listed row by row."""
    from matplotlib.figure import Figure

    size = (max(columns, 2) * _PANEL_INCHES, rows * _PANEL_INCHES + 0.8)
    figure = Figure(size, dpi=_DPI, facecolor="black", layout="constrained")
    figure.suptitle(title, color="white", fontsize=10, wrap=True)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.set_axis_off()
    return figure, axes


def draw_panel(
    axis: Axes,
    image: Image,
    k: int,
    outlines: Sequence[Outline],
    *,
    window: tuple[float, float],
    caption: str | None = None,
) -> None:
    """Draw one axial slice in true proportions with its outlines; "R" marks the patient's right."""
    width, height = (image.shape[0] * image.spacing_mm[0], image.shape[1] * image.spacing_mm[1])
    axis.imshow(
        image.data[::-1, :, k].T,
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        origin="lower",
        extent=(0, width, 0, height),
        interpolation="nearest",
    )
    for mask, colour, _ in outlines:
        _draw_outline(axis, image, mask, k, colour)
    axis.set_xlim(0, width)
    axis.set_ylim(0, height)
    small: dict[str, Any] = {"color": "white", "fontsize": 7, "transform": axis.transAxes}
    axis.text(0.02, 0.5, "R", va="center", **small)
    axis.text(0.02, 0.02, caption if caption is not None else f"slice {k + 1} of {image.shape[2]}", **small)


def _check_mask(image: Image, mask: Array) -> None:
    if mask.shape != image.data.shape:
        raise InputError(f"a mask of shape {mask.shape} cannot be drawn on an image of {image.shape}")


def _draw_outline(axis: Axes, image: Image, mask: Array, k: int, colour: str) -> None:
    _check_mask(image, mask)
    flat = np.pad(np.asarray(mask[::-1, :, k], dtype=np.float64), 1)
    if not (flat >= 0.5).any():
        return
    x, y = (
        (np.arange(n + 2) - 0.5) * step for n, step in zip(image.shape[:2], image.spacing_mm[:2], strict=True)
    )
    axis.contour(x, y, flat.T, levels=[0.5], colors=[colour], linewidths=0.8)


def draw_legend(figure: Figure, outlines: Sequence[Outline]) -> None:
    """Name the outlines' colours at the bottom of the figure."""
    from matplotlib.lines import Line2D

    if not outlines:
        return
    lines = [Line2D([], [], color=colour, label=label) for _, colour, label in outlines]
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=len(lines),
        fontsize=8,
        labelcolor="white",
        facecolor="black",
        edgecolor="none",
    )


def save_png(path: str | Path, figure: Figure) -> Path:
    """Write the figure whole or not at all, without a time or a version inside."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})
    return Path(path)
