"""Where a number came from: one row of ``runs`` for each execution of a command."""

from __future__ import annotations

import platform
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from la_outcomes import __version__
from la_outcomes.shards import canonical_json, sha256_json


@cache
def git_commit() -> str | None:
    """Commit of the checkout this package runs from, with ``+dirty``; None outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+dirty" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@dataclass(frozen=True)
class Run:
    """One execution of a command: what was asked, by which code, with which seed, on what device."""

    command: str
    parameters: Mapping[str, Any]
    seed: int | None = None
    device: str = "cpu"
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))

    @property
    def parameters_sha256(self) -> str:
        """Hash of the parameters; part of the identity of each case."""
        return sha256_json(dict(self.parameters))

    def row(self) -> dict[str, Any]:
        """This run as a row of the registry table ``runs`` (times are UTC)."""
        return {
            "run_id": self.run_id,
            "command": self.command,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "package_version": __version__,
            "git_commit": git_commit(),
            "parameters": canonical_json(dict(self.parameters)),
            "parameters_sha256": self.parameters_sha256,
            "seed": self.seed,
            "device": self.device,
            "python_version": platform.python_version(),
        }
