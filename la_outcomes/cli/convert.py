"""``la-outcomes convert``: DICOM as archives deliver it to NIfTI scans with checked geometry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from la_outcomes.cli.engine_options import ClusterOption, DryRunOption, JobsOption, dry_run, where_to_run
from la_outcomes.cli.run_report import ReportOption, RunReport, run_report
from la_outcomes.errors import InputError

if TYPE_CHECKING:
    from la_outcomes.execution import Outcome
    from la_outcomes.imaging.dicom_studies import Study
    from la_outcomes.imaging.pseudonyms import Pseudonyms
    from la_outcomes.provenance import Run

TwoTables = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def command(
    archive: Annotated[Path, typer.Argument(help="folder in any order, zip, DICOMDIR, or BIDS data set")],
    out: Annotated[Path, typer.Option(help="folder for the scans, scans.csv and shards")],
    patient_id: Annotated[str | None, typer.Option(help="pseudonym, for one patient's folder")] = None,
    prefix: Annotated[str, typer.Option(help="what keyed pseudonyms begin with")] = "p",
    key: Annotated[Path | None, typer.Option(help="file with the pseudonyms' key; made where absent")] = None,
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
    report: ReportOption = None,
) -> None:
    """DICOM as archives deliver it, or a BIDS data set, to NIfTI scans with checked geometry.

    Takes one CT and one FLAIR of each study by declared rules, writes SCAN.nii.gz with SCAN.json (how it
    was laid out and checked), scans.csv, and a shard a study with every series' choice and reason.
    Pseudonyms are keyed hashes: the same from every folder, and nobody without the key can undo them. The
    key is made on first use, in the user's folder for settings unless --key says where. A BIDS data set
    keeps its subjects' labels.
    """
    from la_outcomes.imaging.bids_names import is_bids
    from la_outcomes.imaging.pseudonyms import pseudonyms_by_key

    task = Task(archive, out, jobs, cluster, dry, patient_id, prefix)
    with run_report(None if dry else report, "convert") as told:
        pseudonyms = pseudonyms_by_key(key, outside=out)
        (_bids if is_bids(archive) else _dicom)(task, pseudonyms, told)


@dataclass(frozen=True)
class Task:
    """What was asked for on the command line."""

    archive: Path
    out: Path
    jobs: int
    cluster: str | None
    dry: bool
    patient_id: str | None
    prefix: str

    def run(self) -> Run:
        """The run's row."""
        from la_outcomes.imaging.dicom_convert import ALGORITHM_VERSION
        from la_outcomes.provenance import Run

        asked = {"algorithm": ALGORITHM_VERSION, "patient_id": self.patient_id, "prefix": self.prefix}
        return Run("convert", asked)


def _dicom(task: Task, pseudonyms: Pseudonyms, told: RunReport) -> None:
    from la_outcomes.imaging.dicom_convert import study_rows
    from la_outcomes.imaging.dicom_files import open_archive
    from la_outcomes.imaging.dicom_series import series_of
    from la_outcomes.imaging.dicom_studies import studies_of

    run = task.run()
    with open_archive(task.archive, None if task.dry else task.out) as opened:
        found = series_of(opened.files, where=task.archive, notes=opened.notes)
        studies = studies_of(found, pseudonyms, patient_id=task.patient_id, prefix=task.prefix)
        outcomes = _map(task, studies, partial(_convert, out=task.out, run=run), "studies")
    told.counts = {"series": len(found.series), "studies": len(studies), "other_files": found.n_other_files}
    print(f"{len(found.series)} series in {len(studies)} studies; {found.n_other_files} other files")
    for note in found.notes:
        print(f"note: {note}")
    _finish(task, studies, outcomes, lambda study: study_rows(study, task.out, run), told)


def _bids(task: Task, pseudonyms: Pseudonyms, told: RunReport) -> None:
    from la_outcomes.errors import UsageError
    from la_outcomes.imaging.bids_in import bids_cases, bids_rows, convert_bids

    if task.patient_id is not None:
        raise UsageError("a BIDS data set names its subjects itself", hint="leave --patient-id out")
    run, cases = task.run(), bids_cases(task.archive, pseudonyms)
    outcomes = _map(task, cases, partial(convert_bids, out_dir=task.out, run=run), "scans")
    told.counts = {"series": len(cases)}
    print(f"{len(cases)} scans in the BIDS data set")
    _finish(task, cases, outcomes, lambda case: bids_rows(case, task.out, run), told)


def _map(task: Task, cases: list[Any], work: Any, label: str) -> list[Outcome]:
    from la_outcomes.execution import map_cases

    with dry_run(task.dry, task.jobs, task.out):
        return map_cases(work, cases, jobs=where_to_run(task.jobs, task.cluster), label=label)


def _finish(
    task: Task,
    cases: list[Any],
    outcomes: list[Outcome],
    rows_of: Callable[[Any], TwoTables],
    told: RunReport,
) -> None:
    """Write the table of scans, say what was chosen and what left out, raise where something failed."""
    from la_outcomes.execution import raise_if_any_failed
    from la_outcomes.imaging.dicom_convert import write_scans_table
    from la_outcomes.shards import FINAL_STATUSES

    kept = (*FINAL_STATUSES, "already_done")
    rows = [rows_of(case) for case, one in zip(cases, outcomes, strict=True) if one.status in kept]
    scans, choices = ([row for pair in rows for row in pair[which]] for which in (0, 1))
    write_scans_table(task.out, scans)
    told.add(outcomes, with_reasons=False)
    told.counts |= {"scans": len(scans), "chosen": sum(one["chosen"] for one in choices)}
    told.reasons.update(choice["reason"] for choice in choices if not choice["chosen"])
    _print_summary(scans, choices)
    raise_if_any_failed(outcomes, what="cases")
    if not scans:
        raise InputError("no series can be used as a head CT or a FLAIR", where=task.archive)


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
    warned = Counter(choice["warning"] for choice in choices if choice.get("warning"))
    for warning, count in warned.most_common():
        print(f"  warning, {count} series: {warning}")
    refused = Counter(choice["reason"] for choice in choices if not choice["chosen"])
    for reason, count in refused.most_common():
        print(f"  left out, {count} series: {reason}")
