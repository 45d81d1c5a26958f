"""``la-outcomes evaluate``: predicted masks against labels, people or a simulation's truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.engine_options import ClusterOption, DryRunOption, JobsOption, dry_run, where_to_run


def command(
    predictions: Annotated[Path, typer.Argument(help="folder that segment wrote")],
    reference: Annotated[Path, typer.Option(help="folder of <scan_id>.nii.gz, or CSV of scan_id and path")],
    out: Annotated[Path, typer.Option(help="folder for scores and shards")],
    kind: Annotated[str, typer.Option(help="label, person or truth")] = "label",
    name: Annotated[
        str, typer.Option(help="which: pseudo-label, visible_la, tissue, the reader")
    ] = "pseudo-label",
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
) -> None:
    """Score predicted masks against labels, a person's masks or the truth.

    Dice, volumes, volume error, HD95 and average surface distance of each scan. Both masks empty: Dice is
    undefined and not averaged. One empty: Dice 0, distances undefined.
    """
    import pandas as pd

    from la_outcomes.execution import raise_if_any_failed
    from la_outcomes.segmentation.evaluation import evaluate

    with dry_run(dry, jobs, out):
        place = where_to_run(jobs, cluster)
        outcomes = evaluate(predictions, reference, out, reference=kind, name=name, jobs=place)
    table = pd.read_csv(out / f"scores-{kind}-{name}.csv")
    print(f"{len(table)} scans against {kind} {name}")
    for column in ("dsc", "volume_error_ml", "hd95_mm", "assd_mm"):
        values = table[column].dropna()
        if len(values):
            print(f"  {column}: mean {values.mean():.3f}, median {values.median():.3f} (n = {len(values)})")
    raise_if_any_failed(outcomes, what="scans")
