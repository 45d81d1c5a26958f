"""The pages whose blocks a reader copies, read as blocks; and the runner that does what the reader would."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from la_outcomes.cli.main import run
from la_outcomes.registry.query import ask

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)```",
    flags=re.DOTALL,
)
SHOWN = {"text", "json", "r", ""}  # what is not meant to be run


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is to be written to, its text, why it is not run."""

    language: str
    title: str | None
    text: str
    why_not: str | None


def followed_pages() -> list[Path]:
    """README, tutorial and how-to pages."""
    return [
        ROOT / "README.md",
        ROOT / "docs" / "tutorial.md",
        *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    ]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["language"], found["title"], found["text"], found["why"])
        for found in BLOCK.finditer(text)
    ]


class Reader:
    """Somebody who copies a page's blocks into a terminal that stands in ``folder``."""

    def __init__(self, folder: Path, replacements: dict[str, str], checkout: Path = ROOT) -> None:
        self.folder, self.replacements, self.checkout = folder, replacements, checkout
        self.registry: str | None = None

    def follow(self, page: Path) -> None:
        """Do what every block says; raises AssertionError naming the block that did not work."""
        for block in blocks(page):
            if block.why_not is None:
                self._do(block)

    def _do(self, block: Block) -> None:
        text = self._replaced(block.text)
        if block.title is not None:
            self._write(self._replaced(block.title), text)
        elif block.language == "bash":
            for command in commands(text):
                self._command(command)
        elif block.language == "python":
            with contextlib.chdir(self.folder):
                exec(compile(text, "block", "exec"), {})
        elif block.language == "sql":
            self._ask(text)

    def _replaced(self, text: str) -> str:
        for old, new in self.replacements.items():
            text = text.replace(old, new)
        return text

    def _write(self, title: str, text: str) -> None:
        path = self.folder / title.removesuffix(" (append)")
        path.parent.mkdir(parents=True, exist_ok=True)
        if title.endswith("(append)"):
            text = path.read_text(encoding="utf-8") + text
        path.write_text(text, encoding="utf-8")

    def _ask(self, text: str) -> None:
        """Questions to the registry that the page speaks of, each ended by a semicolon."""
        assert self.registry is not None, "the page names no registry before its SQL"
        for question in filter(None, (part.strip() for part in text.split(";"))):
            with ask(self.folder / self.registry, question) as answer:
                answer.fetchall()

    def _command(self, command: str) -> None:
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        if "--registry" in words:
            self.registry = words[words.index("--registry") + 1]
        with contextlib.chdir(self.folder):
            if words[:1] == ["la-outcomes"] and self.checkout == ROOT and not re.search(r"[|$&*]", command):
                self._in_process(words[1:])
            else:
                self._in_shell(command)

    def _in_process(self, words: list[str]) -> None:
        """The same command without the seconds that its imports take."""
        target = words[words.index(">") + 1] if ">" in words else None
        words = words[: words.index(">")] if ">" in words else words
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(printed), self._environment():
            code = run(words)
        assert code == 0, f"exit code {code}: {shlex.join(words)}"
        if target is not None:
            printed.seek(0)
            Path(target).write_text(printed.read(), encoding="utf-8")

    def _in_shell(self, command: str) -> None:
        with self._environment():
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True
            )
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-1500:]}\n{ended.stderr[-1500:]}"

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        """Programs are found as in an activated environment of the checkout."""
        programs = self.folder / ".bin"
        write_programs(programs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(programs), prepend=os.pathsep)
            patch.setenv("PYTHONPATH", str(self.checkout))
            yield


def write_programs(folder: Path) -> None:
    """``la-outcomes`` and ``python`` as an activated environment would have them."""
    folder.mkdir(exist_ok=True)
    start = "from la_outcomes.cli.main import main; main()"
    for name, line in (
        ("python", f'exec {sys.executable} "$@"'),
        ("la-outcomes", f"exec {sys.executable} -c '{start}' \"$@\""),
    ):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)


def commands(text: str) -> Iterator[str]:
    """The commands of a shell block with their continued lines; where one builds on another, all as one."""
    if re.search(r"^(for |\w+=)", text, flags=re.MULTILINE):
        yield text
        return
    command = ""
    for line in text.splitlines():
        command += line + "\n"
        if not command.strip() or line.endswith("\\"):
            continue
        try:
            words = shlex.split(command, comments=True)
        except ValueError:  # a quotation goes on
            continue
        if words:
            yield command
        command = ""
    assert not command.strip(), f"a command does not end: {command}"
