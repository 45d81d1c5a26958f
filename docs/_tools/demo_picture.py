"""README's picture from a demo: ``python docs/_tools/demo_picture.py DEMO`` writes docs/images/demo.png.

Left the pair with the largest pseudo-label, right the outcome by fifths of volume and the odds ratios.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.image
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PICTURE = Path(__file__).resolve().parents[1] / "images" / "demo.png"
INCHES, DPI = (11.5, 5.6), 110


def draw(demo: Path) -> Figure:
    """The picture of the demo in this folder."""
    figure = Figure(figsize=INCHES, dpi=DPI)
    FigureCanvasAgg(figure)
    scores = pd.read_csv(demo / "scores" / "scores-label-pseudo-label.csv")
    largest = scores.sort_values("reference_volume_ml")["scan_id"].iloc[-1]
    pair = matplotlib.image.imread(demo / "labels" / "pictures" / f"{largest}.png")
    top, height, width = round(pair.shape[0] * 0.032), round(pair.shape[0] * 0.615), pair.shape[1]
    slices = pair[top:height, width // 4 : 3 * width // 4]
    _show(figure.add_axes((0.005, 0.06, 0.42, 0.86)), slices, "CT and FLAIR of one patient, the pseudo-label")
    outcome = demo / "reports" / "07_outcome_mrs"
    for name, bottom, share, title in (
        ("stacked_bars", 0.46, 0.46, "3-month mRS by fifths of LA volume"),
        ("specifications", 0.03, 0.36, "Common odds ratio of a worse mRS, beside the truth"),
    ):
        image = matplotlib.image.imread(outcome / f"{name}.png")
        _show(figure.add_axes((0.44, bottom, 0.555, share)), image, title)
    figure.text(0.005, 0.015, "The demo: all patients are simulated", fontsize=9, color="#555555")
    return figure


def _show(axes: Axes, image: object, title: str) -> None:
    axes.imshow(image)  # type: ignore[arg-type]
    axes.set_title(title, fontsize=11)
    axes.axis("off")


if __name__ == "__main__":
    draw(Path(sys.argv[1])).savefig(PICTURE, metadata={"Software": None})
    print(PICTURE)
