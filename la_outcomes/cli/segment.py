"""``la-outcomes segment``: LA mask and volume of each CT with a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.engine_options import (
    ClusterOption,
    DryRunOption,
    JobsOption,
    RecordsOption,
    dry_run,
    where_to_run,
)
from la_outcomes.cli.run_report import ReportOption, run_report


def command(
    scans: Annotated[Path, typer.Argument(help="SCANS.csv (its CT rows) or one NIfTI file")],
    out: Annotated[Path, typer.Option(help="folder for masks, overlays and shards")],
    model: Annotated[str, typer.Option(help="a packaged model's name, or a bundle's folder")] = "la-ct-sim",
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
    registry: RecordsOption = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu")] = "auto",
    engine: Annotated[
        str, typer.Option(help="onnxruntime, or one that model verify has proven for this bundle")
    ] = "onnxruntime",
    report: ReportOption = None,
) -> None:
    """Segment LA on CT with a bundle and measure its volume.

    The packaged la-ct-sim was trained on simulated scans alone: look at the overlays, and calibrate or
    fine-tune it for a study. Writes masks, overlays and one result shard a scan; scans done before with this
    model are skipped. A scan that is no head CT gets no volume but the reason.
    """
    from la_outcomes.execution import count_statuses, raise_if_any_failed
    from la_outcomes.segmentation.inference import segment_scans
    from la_outcomes.segmentation.packaged import bundle_path

    folder = bundle_path(model)
    with run_report(None if dry else report, "segment") as told:
        with dry_run(dry, jobs, out, table="la_measurements", registry=registry):
            place = where_to_run(jobs, cluster)
            outcomes = segment_scans(scans, folder, out, jobs=place, device=device, engine=engine)
        told.add(outcomes)
        print("; ".join(f"{count} {status}" for status, count in sorted(count_statuses(outcomes).items())))
        for outcome in outcomes:
            if outcome.status == "not_measured":
                print(f"  {outcome.case_id}: not measured: {outcome.reason}")
        raise_if_any_failed(outcomes, what="scans")
