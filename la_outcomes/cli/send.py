"""``la-outcomes send``: SEG and SR to a PACS."""

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
    folder: Annotated[Path, typer.Argument(help="folder that export --format dicom wrote")],
    host: HostOption,
    port: PortOption,
    called: CalledOption,
    calling: CallingOption = "LA_OUTCOMES",
    pause: Annotated[float, typer.Option(min=0, help="seconds between files")] = 0.0,
    ca_file: CaFileOption = None,
    insecure: InsecureOption = False,
    dry: DryRunOption = False,
) -> None:
    """Send DICOM segmentations and reports to a PACS (C-STORE), each once.

    What the PACS took is noted in FOLDER/sent.csv; the same command sends what is left.
    """
    from la_outcomes.exchange.send import parcels, send
    from la_outcomes.execution import count_statuses, raise_if_any_failed

    peer = peer_of(host, port, (called, calling), ca_file, insecure)
    with dry_run(dry, 1, folder):
        outcomes = send(parcels(folder), peer, folder, pause_s=pause)
    print("; ".join(f"{count} {status}" for status, count in sorted(count_statuses(outcomes).items())))
    raise_if_any_failed(outcomes, what="files")
