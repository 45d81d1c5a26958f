"""Links lead somewhere, and every command that a page shows can be given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import command_line_page
import pytest
from pages import BLOCK, ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data_dictionary" / "README.md"])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
COMMANDS = dict(command_line_page.all_commands())


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        assert where.exists(), target
        assert not anchor or anchor in anchors(where), target


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_use_verbs_and_options_that_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("tells of earlier versions")
    for verb, rest in shown_commands(page.read_text(encoding="utf-8")):
        assert verb in COMMANDS, verb
        known = {name for p in COMMANDS[verb].params for name in [*p.opts, *p.secondary_opts]} | {"--help"}
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest):
            assert option in known, f"la-outcomes {verb} {option}"


def shown_commands(text: str) -> list[tuple[str, str]]:
    """(verb, the rest of the line) of each command in blocks, and in inline code with options."""
    shells = [found["text"] for found in BLOCK.finditer(text) if found["language"] in ("bash", "text", "")]
    lines = [line for shell in shells for line in shell.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(la-outcomes [^`\n]+)`", BLOCK.sub("", text))
    found = []
    for line in lines:
        for part in re.findall(r"la-outcomes ([a-z][^|;&]*)", re.sub(r"\s#.*", "", line)):
            words = re.sub(r"\"[^\"]*\"?", "Q", part).split()
            verb = " ".join(words[:2]) if words[0] == "model" else words[0]
            if words[0] == "model" and len(words) < 2:
                continue
            found.append((verb, shlex.join(words)))
    return found
