"""Pictures of patients side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

from la_outcomes.analysis.figures.base import PAGE_INCHES, house_style, letter, new_figure


@dataclass(frozen=True)
class Overlay:
    """A picture (PNG) and what stands above it."""

    path: Path
    title: str


def overlay_figure(overlays: Sequence[Overlay]) -> Figure:
    """Draw the pictures below each other, each as wide as the page, in their own proportions."""
    pictures = [imread(overlay.path, format="png") for overlay in overlays]
    heights = [PAGE_INCHES * picture.shape[0] / picture.shape[1] for picture in pictures]
    with house_style():
        figure = new_figure(PAGE_INCHES, min(sum(heights) + 0.3 * len(heights), 9.5))
        rows = figure.add_gridspec(len(pictures), 1, height_ratios=heights)
        for index, (overlay, picture) in enumerate(zip(overlays, pictures, strict=True)):
            axes = figure.add_subplot(rows[index])
            axes.imshow(picture, aspect="equal", interpolation="lanczos")
            axes.set_title(f"{letter(index)}  {overlay.title}")
            axes.axis("off")
    return figure
