"""The references are whole: what a user can type, ask or import is described, and the pages say it."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import build
import command_line_page
import demo_picture
import flowchart
import matplotlib.image
import numpy as np
import pytest
import python_pages
import rooms
import yaml
from pages import ROOT

from la_outcomes.cli.main import VERBS
from la_outcomes.dictionary import load_dictionary
from la_outcomes.dictionary.page import render
from la_outcomes.simulation.description import diagram, edges
from la_outcomes.simulation.parameters import load_parameters

COMMANDS = dict(command_line_page.all_commands())


def test_every_verb_has_a_command() -> None:
    assert {name.split()[0] for name in COMMANDS} == set(VERBS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_argument_and_option_is_described(name: str) -> None:
    section = command_line_page.page().split(f"## la-outcomes {name}\n")[1].split("\n## ")[0]
    assert len(COMMANDS[name].help) > 20
    for parameter in command_line_page.parameters_of(COMMANDS[name]):
        assert command_line_page.help_of(parameter), f"{name} {parameter.opts} has no help"
        assert f"`{command_line_page.names_of(parameter)}`" in section


def test_every_table_and_column_is_described() -> None:
    dictionary = load_dictionary()
    text = (ROOT / "data_dictionary" / "README.md").read_text(encoding="utf-8")
    assert text == render(dictionary), "python -m la_outcomes.dictionary writes the page anew"
    for table in dictionary.tables.values():
        section = text.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        for column in table.columns.values():
            assert len(column.description) > 2
            assert f"| `{column.name}` |" in section
    for view in dictionary.views.values():
        assert f"### {view.name}\n" in text


PUBLIC = list(python_pages.public_names())


def test_every_public_function_and_class_has_a_docstring() -> None:
    without = [f"{module}.{one.name}" for module, one in PUBLIC if "." not in one.name and not one.summary]
    assert not without


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(python_pages.pages().values())
    sections = {part.split("\n")[0]: part for part in re.split(r"^## ", text, flags=re.MULTILINE)}
    assert len(PUBLIC) > 500
    for module, one in PUBLIC:
        assert f"### {one.name}\n" in sections[module], f"{module}.{one.name}"


def test_a_signature_is_the_one_in_the_source(tmp_path: Path) -> None:
    source = '''
@dataclass
class Point:
    """A place."""

    x: float
    y: float = 0.0

    def moved(self, by: float, /, *others: float, sign: int = 1, **more: int) -> "Point":
        """Elsewhere."""

    @property
    def norm(self) -> float:
        """Length."""

def place(first, *, name: str = "a, b") -> Point:
    """Put it.

    With care.
    """

def _hidden(): ...
'''
    (tmp_path / "module.py").write_text(source)
    point, moved, norm, place = python_pages.members(tmp_path / "module.py")
    assert point.arguments == ("x: float", "y: float = 0.0")
    assert moved.arguments == ("by: float", "*others: float", "sign: int = 1", "**more: int")
    assert norm.arguments is None
    assert (place.arguments, place.returns) == (("first", "*", "name: str = 'a, b'"), " -> Point")
    assert place.summary == "Put it."


def test_the_picture_of_the_rooms_shows_the_contract_that_is_checked() -> None:
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(), (
        "python docs/_tools/rooms.py draws it anew"
    )
    drawn = ElementTree.fromstring(rooms.picture())
    words = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {room for level in rooms.layers() for room in level} <= words


def test_a_diagram_becomes_a_picture_with_all_its_arrows() -> None:
    clinical: Any = load_parameters()["clinical"]
    drawn = ElementTree.fromstring(flowchart.svg(diagram(clinical), "Causes"))
    paths = [p for p in drawn.iter("{http://www.w3.org/2000/svg}path") if p.get("marker-end")]
    assert len(paths) == len(edges(clinical))
    boxes = [box for box in drawn.iter("{http://www.w3.org/2000/svg}rect") if box.get("rx")]
    corners = {(float(box.get("x", "0")), float(box.get("y", "0"))) for box in boxes}
    assert len(corners) == len(boxes) == diagram(clinical).count('["')


def test_the_sources_of_the_site_are_gathered(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    build.gather(folder)
    assert not build.MERMAID.search("".join(page.read_text() for page in folder.rglob("*.md")))
    for name in (
        "reference/command-line",
        "reference/dictionary",
        "reference/python/analysis",
        "contributing",
    ):
        assert (folder / f"{name}.md").exists()
    links = re.findall(r"\]\(([^)#\s]+\.md)", (folder / "registry.md").read_text())
    assert "reference/dictionary.md" in links


def test_every_page_is_in_the_contents() -> None:
    patterns = [
        p for part in yaml.safe_load((ROOT / "docs" / "contents.yaml").read_text()).values() for p in part
    ]
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        found = [p for p in patterns if fnmatch(name, p) and name.count("/") == p.count("/")]
        assert found or name == "index", name


def test_the_picture_of_a_demo_shows_its_figures(tmp_path: Path) -> None:
    for name, shape in (
        ("labels/pictures/b-ct", (110, 132)),
        ("reports/07_outcome_mrs/stacked_bars", (87, 216)),
        ("reports/07_outcome_mrs/specifications", (67, 216)),
    ):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        matplotlib.image.imsave(path, np.zeros((*shape, 3)))
    (tmp_path / "scores").mkdir()
    scores = "scan_id,reference_volume_ml\na-ct,2.0\nb-ct,9.0\n"
    (tmp_path / "scores" / "scores-label-pseudo-label.csv").write_text(scores)
    pair, bars, ratios = demo_picture.draw(tmp_path).axes
    assert pair.get_images()[0].get_array().shape[:2] == (64, 66)  # type: ignore[union-attr]
    assert "mRS" in bars.get_title()
    assert "odds ratio" in ratios.get_title()
