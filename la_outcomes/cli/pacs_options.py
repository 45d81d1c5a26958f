"""Options of the verbs that talk to a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from la_outcomes.exchange.pacs import Peer

HostOption = Annotated[str, typer.Option(help="the PACS's host")]
PortOption = Annotated[int, typer.Option(help="its DICOM port")]
CalledOption = Annotated[str, typer.Option(help="its application entity title")]
CallingOption = Annotated[str, typer.Option(help="our application entity title, as the PACS knows it")]
CaFileOption = Annotated[Path | None, typer.Option(help="certificate to trust; turns TLS on")]
InsecureOption = Annotated[bool, typer.Option("--insecure", help="allow other hosts without TLS")]


def peer_of(host: str, port: int, titles: tuple[str, str], ca_file: Path | None, insecure: bool) -> Peer:
    """The PACS that was named; ``titles`` are the called and the calling one."""
    from la_outcomes.exchange.pacs import Peer

    return Peer(host, port, *titles, ca_file, insecure)
