"""Pictures of typical and extreme agreement: the overlays of patients at the 10th, 50th, 90th percentile."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from la_outcomes.analysis.cohort import load_picture_paths
from la_outcomes.analysis.figures.overlays import Overlay, overlay_figure
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.study import Request

PERCENTILES = (10, 50, 90)


def write_overlays(outputs: Outputs, pairs: pd.DataFrame, request: Request) -> None:
    """Choose by Dice with the pseudo-label where it is known, else by LA volume; a note where none is found.

    A picture is looked for beside the registry and in the folders beside it, since shards name pictures
    relative to the folder that the segmentation wrote to.
    """
    paths = load_picture_paths(request.registry, [str(scan) for scan in pairs["scan_id"]])
    files = {scan: found for scan, path in paths.items() if (found := find_picture(request.registry, path))}
    shown = pairs[pairs["scan_id"].isin(list(files))]
    if shown.empty:
        outputs.note(
            f"No overlays: {len(paths)} of {len(pairs)} scans have a picture, and none lies in the "
            "registry's folder or a folder beside it."
        )
        return
    by = "dsc" if shown["dsc"].notna().any() else "la_volume_ml"
    name = "Dice with the pseudo-label" if by == "dsc" else "LA volume, mL"
    chosen = at_percentiles(shown, by)
    overlays = [
        Overlay(files[str(scan)], f"{percent}th percentile: {name} {value:.2f}")
        for percent, scan, value in zip(PERCENTILES, chosen["scan_id"], chosen[by], strict=True)
    ]
    outputs.figure(
        "overlays",
        overlay_figure(overlays),
        f"LA on CT at the 10th, 50th and 90th percentile of {name}; red: the model's mask",
        alt="Head CTs with outlined LA: " + "; ".join(overlay.title for overlay in overlays),
        n=len(shown),
        shows_individuals=True,
    )


def at_percentiles(pairs: pd.DataFrame, by: str) -> pd.DataFrame:
    """The patient nearest below each percentile; ties go to the first scan identifier."""
    ordered = pairs.dropna(subset=[by]).sort_values([by, "scan_id"])
    places = [round(percent / 100 * (len(ordered) - 1)) for percent in PERCENTILES]
    return ordered.iloc[places]


def find_picture(registry: Path, path: str) -> Path | None:
    """The picture's file: relative to the registry's folder or a folder in it; None where it is nowhere."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        return None
    home = registry.resolve().parent
    folders = [home, *sorted(folder for folder in home.iterdir() if folder.is_dir())]
    return next((folder / path for folder in folders if (folder / path).is_file()), None)
