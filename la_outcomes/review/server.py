"""Starting the page: what is allowed on which address, then uvicorn."""

from __future__ import annotations

import os
import socket
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from la_outcomes.errors import InputError, UsageError
from la_outcomes.execution.jobs import is_loopback
from la_outcomes.registry.files import imports_folder
from la_outcomes.review.sessions import PSEUDONYM, Door, read_tokens

if TYPE_CHECKING:
    from la_outcomes.review.app import Site


@dataclass(frozen=True)
class Serving:
    """What ``la-outcomes review`` was asked for; see its options."""

    registry: Path
    folders: Sequence[Path] = ()
    reference: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    tokens: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    second_pass: float | None = None
    adjudicator: str | None = None


def serve(asked: Serving, *, opens_browser: bool = False) -> None:
    """Check what was asked, print the address, serve until stopped.

    Raises ``UsageError`` where the network could reach the page without tokens and TLS, ``InputError`` for
    files that cannot be used.
    """
    import uvicorn

    from la_outcomes.review.app import make_app

    _check(asked)
    listening = _listen(asked.host, asked.port)
    port = listening.getsockname()[1]
    site = make_site(asked, port)
    address = f"{site.scheme}://{_bracketed(asked.host)}:{port}/"
    opened = address if site.door.tokens is not None else f"{address}enter?key={site.door.key}"
    print(f"review page: {opened}", flush=True)
    print(
        "decisions are kept at once; la-outcomes ingest takes them into the registry; Ctrl-C stops",
        flush=True,
    )
    if opens_browser:
        webbrowser.open(opened)
    config = uvicorn.Config(
        make_app(site), log_level="warning", access_log=False, server_header=False, lifespan="off",
        ssl_certfile=asked.certfile, ssl_keyfile=asked.keyfile, timeout_graceful_shutdown=2,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


def make_site(asked: Serving, port: int) -> Site:
    """Everything behind the addresses, with the registry read."""
    from la_outcomes.registry.study_files import StudyFiles
    from la_outcomes.review.app import Site
    from la_outcomes.review.case import Study
    from la_outcomes.review.catalogue import Catalogue
    from la_outcomes.review.records import Recorder

    folders = [*asked.folders] or [asked.registry.resolve().parent]
    study = Study(Catalogue(asked.registry), StudyFiles(folders), _references(asked.reference))
    _check_writable(imports_folder(asked.registry))
    tokens = read_tokens(asked.tokens) if asked.tokens else None
    pass_no = 1 if asked.second_pass is None else 2
    scheme = "https" if asked.certfile else "http"
    is_local = is_loopback(asked.host)
    names = {"127.0.0.1", "localhost", "[::1]", _bracketed(asked.host)}
    return Site(
        study=study,
        recorder=Recorder(asked.registry, {"pass_no": pass_no, "second_pass_percent": asked.second_pass}),
        door=Door(tokens, pass_no, asked.adjudicator),
        resample=asked.second_pass or 0.0,
        hosts=frozenset(f"{name}:{port}" for name in names) if is_local else None,
        scheme=scheme,
        cookie=f"la_review_{port}",
    )


def _check(asked: Serving) -> None:
    if (asked.certfile is None) != (asked.keyfile is None):
        raise UsageError("TLS needs both --certfile and --keyfile")
    for path in (asked.certfile, asked.keyfile):
        if path is not None and not path.is_file():
            raise InputError("there is no such file", where=path)
    if not is_loopback(asked.host) and (asked.tokens is None or asked.certfile is None):
        raise UsageError(
            "other machines could reach the page: it then needs a token for each reviewer, and TLS",
            where=asked.host,
            hint="--tokens FILE --certfile FILE --keyfile FILE; or leave --host out",
        )
    if asked.second_pass is not None and not 0 < asked.second_pass <= 100:
        raise UsageError("a second pass takes more than 0 and at most 100 percent")
    if asked.adjudicator is not None and not PSEUDONYM.fullmatch(asked.adjudicator):
        raise UsageError("the adjudicator is named by a pseudonym", where="--adjudicator")


def _references(path: Path | None) -> dict[str, Path]:
    if path is None:
        return {}
    from la_outcomes.segmentation.evaluation import reference_paths

    return reference_paths(path)


def _check_writable(folder: Path) -> None:
    """Better now than after a reviewer's first decision."""
    try:
        (folder / "shards").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"decisions cannot be kept: {error.strerror}", where=folder) from error
    if not os.access(folder / "shards", os.W_OK):
        raise InputError("decisions cannot be kept: no right to write", where=folder)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # before the address is printed, so that nobody knocks in vain
    except OSError as error:
        listening.close()
        raise UsageError(
            f"the address cannot be used: {error.strerror}",
            where=f"{host}:{port}",
            hint="--port 0 takes any free one",
        ) from error
    return listening


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
