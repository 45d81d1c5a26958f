"""A command on a disk that is nearly full: a real one, in a name space of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def on_small_disk(folder: Path, kilobytes: int, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command while ``folder`` is a disk of so many kilobytes; files on it are gone afterwards.

    The command may give the disk more room: ``mount -o remount,size=90m FOLDER``.
    """
    folder.mkdir()
    mount = f'mount -t tmpfs -o size={kilobytes}k tmpfs "$0" && "$@"'
    inside = ["unshare", "-rm", "sh", "-c", mount, str(folder)]
    try:
        allowed = subprocess.run([*inside, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("this system lets nobody mount a small disk")
    return subprocess.run([*inside, *command], capture_output=True, text=True)
