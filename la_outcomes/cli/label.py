"""``la-outcomes label``: pseudo-labels on CT from CT-FLAIR pairs."""

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
    pairs: Annotated[Path, typer.Argument(help="PAIRS.csv: one CT and FLAIR of a patient a row")],
    out: Annotated[Path, typer.Option(help="folder for labels, pictures and shards")],
    wmh: Annotated[
        str,
        typer.Option(
            help="mask (given), command (external tool), model (FLAIR bundle), classical (weak fall-back), "
            "or auto: the mask where a pair has one, else the model"
        ),
    ] = "auto",
    wmh_tool: Annotated[
        str | None,
        typer.Option(help="the tool behind the masks or the command: a recipe's name or a YAML file"),
    ] = None,
    wmh_model: Annotated[
        str | None,
        typer.Option(help="FLAIR model of auto and model: a bundle's folder instead of wmh-flair-sim"),
    ] = None,
    infarct: Annotated[
        str,
        typer.Option(
            help="mask: take out the given one; auto: look for one where none is given; none: leave all in"
        ),
    ] = "auto",
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    dry: DryRunOption = False,
    registry: RecordsOption = None,
    report: ReportOption = None,
) -> None:
    """Make pseudo-labels on CT: WMH on FLAIR, coregistration, carried mask without the infarct.

    Pairs done before are skipped; pairs whose quality is in doubt get status review and stay out of training
    unless a person accepts them. OUT/index.html shows all, worst first.
    """
    from la_outcomes.execution import count_statuses, raise_if_any_failed
    from la_outcomes.segmentation.labels.pseudo_labels import label_pairs
    from la_outcomes.segmentation.labels.sources import configure
    from la_outcomes.segmentation.packaged import WMH_MODEL, bundle_path

    if wmh_model is None and wmh in ("auto", "model"):
        wmh_model = WMH_MODEL
    source = configure(wmh, wmh_tool, None if wmh_model is None else bundle_path(wmh_model))
    with run_report(None if dry else report, "label") as told:
        with dry_run(dry, jobs, out, table="pseudo_labels", registry=registry):
            place = where_to_run(jobs, cluster)
            outcomes = label_pairs(pairs, out, source=source, infarcts=infarct, jobs=place)
        told.add(outcomes)
        print("; ".join(f"{count} {status}" for status, count in sorted(count_statuses(outcomes).items())))
        print(f"look at {out / 'index.html'}; next: la-outcomes train {out} --out MODEL")
        raise_if_any_failed(outcomes, what="pairs")
