"""``la-outcomes review``: the page on which people look at labels and segmentations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    registry: RegistryOption,
    folder: Annotated[
        list[Path] | None,
        typer.Option("--folder", help="of the study, with images; may be repeated (default: the registry's)"),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="masks by a person: folder of SCAN_ID.nii.gz, or CSV of scan_id, path")
    ] = None,
    host: Annotated[
        str, typer.Option(help="other than this machine's own needs --tokens and TLS")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8765,
    tokens: Annotated[
        Path | None, typer.Option(help="a line a reviewer: pseudonym, space, secret token")
    ] = None,
    certfile: Annotated[Path | None, typer.Option(help="of TLS (PEM)")] = None,
    keyfile: Annotated[Path | None, typer.Option(help="of TLS (PEM)")] = None,
    second_pass: Annotated[
        float | None,
        typer.Option(
            "--second-pass", metavar="PERCENT", help="each reviewer sees this part of the first pass again"
        ),
    ] = None,
    adjudicator: Annotated[
        str | None, typer.Option(help="reviewer who sees the others' decisions and whose own go first")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="open the page in the browser")] = False,
) -> None:
    """Review labels and segmentations, and grade scans, in the browser.

    Reads the published registry, writes each decision as a shard beside it, and lets others ingest meanwhile.
    Only this machine can reach the page unless --host says otherwise.
    """
    from la_outcomes.errors import UsageError

    try:
        from la_outcomes.review.server import Serving, serve

        asked = Serving(
            registry, folder or (), reference, host, port, tokens, certfile, keyfile, second_pass, adjudicator
        )
        serve(asked, opens_browser=browser)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "SimpleITK", "nibabel"):
            raise
        raise UsageError(f"the page needs {error.name}", hint='pip install "la-outcomes[review]"') from error
