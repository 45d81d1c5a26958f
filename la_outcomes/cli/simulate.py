"""``la-outcomes simulate``: patients with known truth, with or without images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from la_outcomes.cli.engine_options import ClusterOption, DryRunOption, JobsOption, dry_run, where_to_run
from la_outcomes.errors import InputError, UsageError

if TYPE_CHECKING:
    from la_outcomes.simulation.parameters import Parameters


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
    dicom: Annotated[bool, typer.Option("--dicom", help="write each scan as a DICOM series too")] = False,
    layout: Annotated[
        Literal["plain", "bids"], typer.Option(help="images/PATIENT/ct.nii.gz, or BIDS-like names")
    ] = "plain",
    missing: Annotated[
        Literal["none", "mcar", "mar"] | None, typer.Option(help="how values go missing (packaged: mar)")
    ] = None,
    non_proportional: Annotated[
        bool,
        typer.Option("--non-proportional", help="mRS without one common odds ratio"),
    ] = False,
    repeat_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="share of patients with a second CT of the same head")
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="YAML of changes to parameters.yaml"),
    ] = None,
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
) -> None:
    """Simulate patients with known truth, with or without images.

    Without --anatomies every head is a warp of one embedded template: good for a look, optimistic as a
    test. With --no-images volumes come from a declared measurement-error model. Whoever changes a
    parameter gets a version of his own: every row says "1.0+" and a hash of the changes.
    """
    from la_outcomes.simulation.cohort import simulate_cohort, simulate_without_images
    from la_outcomes.simulation.outputs import Outputs

    asked = _parameters(parameters, missing, non_proportional, repeat_share)
    if not images:
        if anatomies or infarcts or dicom or layout != "plain":
            raise UsageError("options that draw or place images do not go with --no-images")
        paths = simulate_without_images(out, patients, seed, asked)
        print(f"{patients} simulated patients without images: {len(paths)} bulk shards in {out / 'shards'}")
        return
    with dry_run(dry, jobs, out):
        outcomes = simulate_cohort(
            out, patients, seed, anatomies=anatomies, infarcts=infarcts, preset=preset,
            jobs=where_to_run(jobs, cluster), parameters=asked, outputs=Outputs(layout, dicom),
        )  # fmt: skip
    counts = Counter(outcome.status for outcome in outcomes)
    print(
        f"{len(outcomes)} simulated patients: " + ", ".join(f"{n} {status}" for status, n in counts.items())
    )
    print(f"next: la-outcomes label {out / 'pairs.csv'} --out {out}")


def _parameters(
    path: Path | None, missing: str | None, non_proportional: bool, repeat_share: float | None
) -> Parameters:
    """The packaged parameters with what the options and the file change."""
    from la_outcomes.simulation.parameters import load_parameters, merged, read_changes

    clinical: dict[str, Any] = {}
    if missing is not None:
        clinical["missingness"] = {"mechanism": missing}
    if non_proportional:
        clinical["outcome"] = {"proportional_odds": False}
    if repeat_share is not None:
        clinical["repeat_ct"] = {"share": repeat_share}
    by_file = {} if path is None else read_changes(path)
    by_option = {"clinical": clinical} if clinical else {}
    if "version" in by_file:
        raise InputError("the version is the package's own and cannot be changed", where=path)
    return load_parameters(merged(by_file, by_option))
