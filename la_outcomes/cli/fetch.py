"""``la-outcomes fetch``: studies from a PACS by a list of their ids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.engine_options import DryRunOption, dry_run
from la_outcomes.cli.pacs_options import (
    CaFileOption,
    CalledOption,
    CallingOption,
    HostOption,
    InsecureOption,
    PortOption,
    peer_of,
)


def command(
    studies: Annotated[Path, typer.Argument(help="CSV with a column StudyInstanceUID or AccessionNumber")],
    out: Annotated[Path, typer.Option(help="folder for the studies; their headers name patients")],
    host: HostOption,
    port: PortOption,
    called: CalledOption,
    calling: CallingOption = "LA_OUTCOMES",
    modality: Annotated[list[str] | None, typer.Option(help="series to bring: CT, MR; repeatable")] = None,
    pause: Annotated[float, typer.Option(min=0, help="seconds between studies")] = 1.0,
    mb_per_s: Annotated[float, typer.Option(min=0, help="megabytes a second at most; 0: no limit")] = 0.0,
    key: Annotated[Path | None, typer.Option(help="file with the pseudonyms' key; made where absent")] = None,
    ca_file: CaFileOption = None,
    insecure: InsecureOption = False,
    dry: DryRunOption = False,
) -> None:
    """Fetch studies from a PACS (C-FIND, C-GET), gently, and go on where it was stopped.

    Files are named by keyed hashes in one folder a study. What is complete is not asked for again; next:
    la-outcomes convert OUT --out SCANS.
    """
    from la_outcomes.exchange.fetch import Limits, fetch, read_list
    from la_outcomes.execution import count_statuses, raise_if_any_failed
    from la_outcomes.imaging.pseudonyms import pseudonyms_by_key

    peer = peer_of(host, port, (called, calling), ca_file, insecure)
    names = pseudonyms_by_key(key, outside=out)
    limits = Limits(tuple(modality or ("CT", "MR")), pause, mb_per_s)
    with dry_run(dry, 1, out):
        outcomes = fetch(read_list(studies, names), peer, out, names, limits)
    print("; ".join(f"{count} {status}" for status, count in sorted(count_statuses(outcomes).items())))
    raise_if_any_failed(outcomes, what="studies")
