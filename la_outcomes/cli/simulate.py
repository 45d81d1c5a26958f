"""``la-outcomes simulate``: patients with known truth, with or without images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from la_outcomes.errors import UsageError


def command(
    out: Annotated[Path, typer.Option(help="folder for images, scans.csv, pairs.csv and shards")],
    patients: Annotated[int, typer.Option(min=1, help="how many, over the five cohorts")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same patients and images")] = 1,
    anatomies: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="FreeSurfer label maps of whole heads")
    ] = None,
    infarcts: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="infarct masks in MNI152 space")
    ] = None,
    images: Annotated[bool, typer.Option(help="draw CT and FLAIR, or only the tables")] = True,
    preset: Annotated[
        Literal["routine", "small"], typer.Option(help="routine pixels, or about 1 mm for a quick look")
    ] = "routine",
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
) -> None:
    """Simulate patients with known truth, with or without images.

    Without --anatomies every head is a warp of one embedded template: good for a look, optimistic as a
    test. With --no-images volumes come from a declared measurement-error model.
    """
    from la_outcomes.simulation.cohort import simulate_cohort, simulate_without_images

    if not images:
        if anatomies or infarcts:
            raise UsageError("--anatomies and --infarcts draw images, which --no-images leaves out")
        paths = simulate_without_images(out, patients, seed)
        print(f"{patients} simulated patients without images: {len(paths)} bulk shards in {out / 'shards'}")
        return
    outcomes = simulate_cohort(
        out, patients, seed, anatomies=anatomies, infarcts=infarcts, preset=preset, jobs=jobs
    )
    counts = Counter(outcome.status for outcome in outcomes)
    print(
        f"{len(outcomes)} simulated patients: " + ", ".join(f"{n} {status}" for status, n in counts.items())
    )
    print(f"next: la-outcomes label {out / 'pairs.csv'} --out {out}")
