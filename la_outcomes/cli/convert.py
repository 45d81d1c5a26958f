"""``la-outcomes convert``: DICOM folders to NIfTI scans with checked geometry."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from la_outcomes.cli.engine_options import ClusterOption, DryRunOption, JobsOption, dry_run, where_to_run
from la_outcomes.errors import InputError

if TYPE_CHECKING:
    from la_outcomes.imaging.dicom_convert import Study
    from la_outcomes.provenance import Run


def command(
    dicom_dir: Annotated[Path, typer.Argument(help="folder with DICOM files, in any order and depth")],
    out: Annotated[Path, typer.Option(help="folder for the scans, scans.csv and shards")],
    patient_id: Annotated[str | None, typer.Option(help="pseudonym, for one patient's folder")] = None,
    prefix: Annotated[str, typer.Option(help="what running pseudonyms begin with")] = "p",
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
) -> None:
    """DICOM folders to NIfTI scans with checked geometry.

    Takes one CT and one FLAIR of each study by declared rules, writes SCAN.nii.gz with SCAN.json (how it
    was laid out and checked), scans.csv, and a shard a study with every series' choice and reason.
    Running pseudonyms (p001, p002, ...) hold for this folder as it is now; give --patient-id, or a
    --prefix of its own to each folder.
    """
    from functools import partial

    from la_outcomes.execution import map_cases, raise_if_any_failed
    from la_outcomes.imaging.dicom_convert import studies_of, study_rows, write_scans_table
    from la_outcomes.imaging.dicom_series import find_series
    from la_outcomes.provenance import Run
    from la_outcomes.shards import FINAL_STATUSES

    found = find_series(dicom_dir)
    studies = studies_of(found, patient_id=patient_id, prefix=prefix)
    run = Run("convert", {"patient_id": patient_id, "prefix": prefix})
    with dry_run(dry, jobs, out):
        work, place = partial(_convert, out=out, run=run), where_to_run(jobs, cluster)
        outcomes = map_cases(work, studies, jobs=place, label="studies")
    finished = [s for s, o in zip(studies, outcomes, strict=True) if o.status in FINAL_STATUSES]
    rows = [study_rows(study, out, run) for study in finished]
    scans = [scan for pair in rows for scan in pair[0]]
    write_scans_table(out, scans)
    print(f"{len(found.series)} series in {len(studies)} studies; {found.n_other_files} other files")
    _print_summary(scans, [choice for pair in rows for choice in pair[1]])
    raise_if_any_failed(outcomes, what="studies")
    if not scans:
        raise InputError("no series can be used as a head CT or a FLAIR", where=dicom_dir)


def _convert(study: Study, out: Path, run: Run) -> tuple[str, str | None]:
    from la_outcomes.execution import start_work
    from la_outcomes.imaging.dicom_convert import convert_study

    start_work()
    result = convert_study(study, out, run)
    return ("failed_input", "; ".join(result.failures)) if result.failures else ("done", None)


def _print_summary(scans: list[dict[str, Any]], choices: list[dict[str, Any]]) -> None:
    for scan in scans:
        spacing, tilt = scan["slice_spacing_mm"], scan["gantry_tilt_deg"]
        print(f"  {scan['scan_id']}: slices {spacing:g} mm apart, gantry tilt {tilt:g} degrees")
    refused = Counter(choice["reason"] for choice in choices if not choice["chosen"])
    for reason, count in refused.most_common():
        print(f"  left out, {count} series: {reason}")
