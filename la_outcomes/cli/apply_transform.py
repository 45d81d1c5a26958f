"""``la-outcomes apply-transform``: carry an image or mask through a coregistration, either way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    image: Annotated[Path, typer.Argument(help="NIfTI in FLAIR space (with --inverse: in CT space)")],
    transform: Annotated[Path, typer.Option(help="the .h5 that `label` wrote")],
    like: Annotated[Path, typer.Option(help="NIfTI whose grid the result gets")],
    out: Annotated[Path, typer.Option(help="NIfTI to write")],
    inverse: Annotated[bool, typer.Option("--inverse", help="from CT space to FLAIR space")] = False,
    mask: Annotated[bool, typer.Option("--mask", help="a mask: stays binary and keeps its volume")] = False,
) -> None:
    """Carry an image or mask through a coregistration, from FLAIR to CT or back."""
    from la_outcomes.imaging.geometry import volume_ml
    from la_outcomes.segmentation.labels.transforms import apply_to_file

    carried = apply_to_file(image, transform, like, out, backwards=inverse, mask=mask)
    if mask:
        print(f"{out}: {volume_ml(carried.data, carried.affine):.2f} mL")
    else:
        print(out)
