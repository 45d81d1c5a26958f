"""Build the site: ``python docs/_tools/build.py [FOLDER]`` (``make docs``), offline, every warning an error.

The sources are gathered in one folder first: the pages of docs/, those that live beside it, and the
references written from the code. So generated pages are never older than the code, and the pages in the
repository stay plain Markdown that can be read without a site.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import yaml
from sphinx.cmd.build import build_main

sys.path.insert(0, str(Path(__file__).parent))

import command_line_page
import flowchart
import python_pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE = {
    "data_dictionary/README.md": "reference/dictionary.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
MERMAID = re.compile(r"```mermaid\n(.*?)```", flags=re.DOTALL)


def gather(folder: Path) -> None:
    """Write all sources of the site to ``folder``."""
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("_tools", "__pycache__", "*.md"))
    for page in sorted(DOCS.rglob("*.md")):
        path = page.relative_to(DOCS).as_posix()
        _write(folder, path, _for_site(page.read_text(encoding="utf-8"), f"docs/{path}", path))
    for source, path in OUTSIDE.items():
        _write(folder, path, _for_site((ROOT / source).read_text(encoding="utf-8"), source, path))
    _write(folder, "reference/command-line.md", command_line_page.page())
    _write(folder, "reference/python/index.md", python_pages.index())
    for room, text in python_pages.pages().items():
        _write(folder, f"reference/python/{room}.md", text)
    _draw_diagrams(folder)
    with (folder / "index.md").open("a", encoding="utf-8") as index:
        index.write(_contents())


def build(folder: Path) -> int:
    """Build the site into ``folder/site`` and return Sphinx' exit code."""
    shutil.rmtree(folder, ignore_errors=True)
    gather(folder / "source")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--builder", "html", "--fresh-env"]
    doctrees = ["--doctree-dir", str(folder / "doctrees")]
    return build_main([*options, *doctrees, str(folder / "source"), str(folder / "site")])


def _write(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")


def _for_site(text: str, source: str, path: str) -> str:
    """The text of repository file ``source`` with links as they must be at ``path`` in the site."""
    begin, up = (ROOT / source).parent, "../" * path.count("/")

    def mended(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if "://" in target:
            return match.group()
        where = (begin / target).resolve().relative_to(ROOT).as_posix()
        return before + up + OUTSIDE.get(where, where.removeprefix("docs/")) + after

    return LINK.sub(mended, text)


def _draw_diagrams(folder: Path) -> None:
    """Mermaid would need a script from elsewhere: its diagrams become pictures."""
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for number, diagram in enumerate(MERMAID.findall(text)):
            title = f"Diagram of {page.stem.replace('_', ' ')}"
            picture = page.with_name(f"{page.stem}_{number}.svg")
            picture.write_text(flowchart.svg(diagram, title), encoding="utf-8")
            text = MERMAID.sub(f"![{title}]({picture.name})", text, count=1)
            page.write_text(text, encoding="utf-8")


def _contents() -> str:
    """The contents of the site as Sphinx' toctrees."""
    sections = yaml.safe_load((DOCS / "contents.yaml").read_text(encoding="utf-8"))
    parts = []
    for caption, pages in sections.items():
        lines = ["```{toctree}", ":hidden:", ":glob:", f":caption: {caption}", "", *pages, "```"]
        parts.append("\n".join(lines))
    return "\n\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    code = build(target)
    if code == 0:
        print(target / "site" / "index.html")
    sys.exit(code)
