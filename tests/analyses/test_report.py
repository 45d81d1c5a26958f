"""The report: everything in one page, one failing script among the others, exit codes of the verb."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from la_outcomes.analysis.study import Request, script_paths
from la_outcomes.cli.main import run
from la_outcomes.errors import PartlyDoneError
from la_outcomes.registry.ingest import ingest
from la_outcomes.reporting.page import simulated_line
from la_outcomes.reporting.report import make_report

FAST = [path for path in script_paths() if path.stem[:2] in ("01", "02")]
BROKEN = '''"""99 Broken."""
from la_outcomes.analysis.study import Study

def answer(request, outputs):
    raise ZeroDivisionError("a fault of this script")

STUDY = Study("99", "broken", "Broken", "?", "-", "-", answer)
'''


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scripts") / "99_broken.py"
    path.write_text(BROKEN)
    return path


def test_the_page_opens_offline_with_numbered_figures_and_provenance(registry: Path, tmp_path: Path) -> None:
    page = make_report(Request(registry, tmp_path), scripts=FAST)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "reports" / "report.html"
    body = text[text.index("<body>") :]
    assert body.index("Simulated data: none of the 610 patients exists") < body.index("<h1>")
    assert not re.search(r'(src|href)="https?:', text)
    assert "<script" not in text
    assert 'src="data:image/png;base64,' in text
    assert re.findall(r"<strong>Table (\d+)\.", text) == [
        str(i + 1) for i in range(text.count("<strong>Table "))
    ]
    assert text.rindex("<h2>") == text.index("<h2>Provenance</h2>")
    for link in re.findall(r'class="file" href="([^"]+)"', text):
        assert (page.parent / link).exists()
    for picture in re.findall(r"<img [^>]*>", text):
        assert re.search(r'alt="[^"]{20,}"', picture)


def test_the_manifest_names_every_file_with_its_hash(registry: Path, tmp_path: Path) -> None:
    make_report(Request(registry, tmp_path), scripts=FAST)
    manifest = json.loads((tmp_path / "reports" / "manifest.json").read_text())
    assert set(manifest["scripts"]) == {path.stem for path in FAST}
    assert all(
        len(table["sha256"]) == 64 for entry in manifest["scripts"].values() for table in entry["tables"]
    )
    assert manifest["sources"]["counts"]["patients"] == 610


def test_equal_registries_have_one_content_hash_and_another_has_another(
    registry: Path, tmp_path: Path
) -> None:
    hashes = []
    for name, extra in (("a", False), ("b", False), ("c", True)):
        own = tmp_path / f"{name}.duckdb"
        own.write_bytes(registry.read_bytes())
        if extra:
            ingest([tmp_path / "a" / "reports"], own)
        make_report(Request(own, tmp_path / name), scripts=FAST[:1])
        sources = json.loads((tmp_path / name / "reports" / "manifest.json").read_text())["sources"]
        hashes.append(sources["registry_content"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_one_failing_script_does_not_stop_the_others(registry: Path, tmp_path: Path, broken: Path) -> None:
    with pytest.raises(PartlyDoneError, match=r"99_broken: the script failed: .*ZeroDivisionError"):
        make_report(Request(registry, tmp_path), scripts=[*FAST, broken])
    text = (tmp_path / "reports" / "report.html").read_text()
    assert "ZeroDivisionError" in text
    assert "<h2>Baseline characteristics</h2>" in text


def test_exit_codes_of_the_verb(registry: Path, tmp_path: Path) -> None:
    asked = ["report", "--registry", str(registry), "--out", str(tmp_path)]
    assert run(["report", "--registry", str(tmp_path / "none"), "--out", str(tmp_path)]) == 3
    assert run([*asked, "--population", "no_such_column = 1"]) == 2
    assert run([*asked, "--outcome", "mrs_9m"]) == 2
    assert not (tmp_path / "reports").exists()
    assert run([*asked, "--population", "FALSE"]) == 4
    assert "no patient is in the population" in (tmp_path / "reports" / "report.html").read_text()


def test_the_first_line_says_how_many_are_simulated() -> None:
    assert simulated_line({"patients": 10, "simulated_patients": 0}) is None
    assert "none of the 10" in str(simulated_line({"patients": 10, "simulated_patients": 10}))
    assert "3 of the 10" in str(simulated_line({"patients": 10, "simulated_patients": 3}))
