"""``la-outcomes convert``: DICOM as archives deliver it to NIfTI scans with checked geometry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from la_outcomes.cli.engine_options import ClusterOption, DryRunOption, JobsOption, dry_run, where_to_run
from la_outcomes.errors import InputError

if TYPE_CHECKING:
    from la_outcomes.execution import Outcome
    from la_outcomes.imaging.dicom_studies import Study
    from la_outcomes.provenance import Run


def command(
    archive: Annotated[Path, typer.Argument(help="folder in any order and depth, zip, or DICOMDIR")],
    out: Annotated[Path, typer.Option(help="folder for the scans, scans.csv and shards")],
    patient_id: Annotated[str | None, typer.Option(help="pseudonym, for one patient's folder")] = None,
    prefix: Annotated[str, typer.Option(help="what keyed pseudonyms begin with")] = "p",
    key: Annotated[Path | None, typer.Option(help="file with the pseudonyms' key; made where absent")] = None,
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
) -> None:
    """DICOM as archives deliver it to NIfTI scans with checked geometry.

    Takes one CT and one FLAIR of each study by declared rules, writes SCAN.nii.gz with SCAN.json (how it
    was laid out and checked), scans.csv, and a shard a study with every series' choice and reason.
    Pseudonyms are keyed hashes: the same from every folder, and nobody without the key can undo them. The
    key is made on first use, in the user's folder for settings unless --key says where.
    """
    from la_outcomes.execution import raise_if_any_failed
    from la_outcomes.imaging.dicom_files import open_archive
    from la_outcomes.imaging.dicom_series import series_of
    from la_outcomes.imaging.dicom_studies import studies_of
    from la_outcomes.imaging.pseudonyms import pseudonyms_by_key

    pseudonyms = pseudonyms_by_key(key, outside=out)
    with open_archive(archive, None if dry else out) as opened:
        found = series_of(opened.files, where=archive, notes=opened.notes)
        studies = studies_of(found, pseudonyms, patient_id=patient_id, prefix=prefix)
        outcomes, rows = _convert_all(studies, Task(out, jobs, cluster, dry, patient_id, prefix))
    scans, choices = ([row for pair in rows for row in pair[which]] for which in (0, 1))
    print(f"{len(found.series)} series in {len(studies)} studies; {found.n_other_files} other files")
    print("\n".join(f"note: {note}" for note in found.notes), end="\n" if found.notes else "")
    _print_summary(scans, choices)
    raise_if_any_failed(outcomes, what="studies")
    if not scans:
        raise InputError("no series can be used as a head CT or a FLAIR", where=archive)


@dataclass(frozen=True)
class Task:
    """What was asked for on the command line."""

    out: Path
    jobs: int
    cluster: str | None
    dry: bool
    patient_id: str | None
    prefix: str


def _convert_all(
    studies: list[Study], task: Task
) -> tuple[list[Outcome], list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]]:
    """Convert the studies and write the table of their scans; outcomes, and the rows of each study."""
    from la_outcomes.execution import map_cases
    from la_outcomes.imaging.dicom_convert import ALGORITHM_VERSION, study_rows, write_scans_table
    from la_outcomes.provenance import Run
    from la_outcomes.shards import FINAL_STATUSES

    run = Run(
        "convert", {"algorithm": ALGORITHM_VERSION, "patient_id": task.patient_id, "prefix": task.prefix}
    )
    with dry_run(task.dry, task.jobs, task.out):
        work, place = partial(_convert, out=task.out, run=run), where_to_run(task.jobs, task.cluster)
        outcomes = map_cases(work, studies, jobs=place, label="studies")
    kept = (*FINAL_STATUSES, "already_done")
    rows = [
        study_rows(study, task.out, run)
        for study, outcome in zip(studies, outcomes, strict=True)
        if outcome.status in kept
    ]
    write_scans_table(task.out, [scan for scans, _ in rows for scan in scans])
    return outcomes, rows


def _convert(study: Study, out: Path, run: Run) -> tuple[str, str | None]:
    from la_outcomes.execution import start_work
    from la_outcomes.imaging.dicom_convert import convert_study, is_converted

    if is_converted(study, out, run):
        return "already_done", None
    start_work()
    result = convert_study(study, out, run)
    return ("failed_input", "; ".join(result.failures)) if result.failures else ("done", None)


def _print_summary(scans: list[dict[str, Any]], choices: list[dict[str, Any]]) -> None:
    for scan in scans:
        spacing, tilt = scan["slice_spacing_mm"], scan["gantry_tilt_deg"]
        print(f"  {scan['scan_id']}: slices {spacing:g} mm apart, gantry tilt {tilt:g} degrees")
    warned = Counter(choice["warning"] for choice in choices if choice["warning"])
    for warning, count in warned.most_common():
        print(f"  warning, {count} series: {warning}")
    refused = Counter(choice["reason"] for choice in choices if not choice["chosen"])
    for reason, count in refused.most_common():
        print(f"  left out, {count} series: {reason}")
