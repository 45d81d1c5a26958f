"""The report: everything in one page, one failing script among the others, exit codes of the verb."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from la_outcomes.analysis.study import Request, script_paths
from la_outcomes.cli.main import run
from la_outcomes.errors import PartlyDoneError
from la_outcomes.registry.ingest import ingest
from la_outcomes.reporting.checklist import fill_checklists
from la_outcomes.reporting.document import Section, build_document, simulated_line
from la_outcomes.reporting.pdf import write_pdf
from la_outcomes.reporting.report import make_report
from la_outcomes.reporting.sources import describe_sources

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


def test_the_pdf_is_the_same_twice_and_says_what_the_page_says(registry: Path, tmp_path: Path) -> None:
    request = Request(registry, tmp_path)
    page = make_report(request, scripts=FAST[:1])
    pdf = page.with_suffix(".pdf")
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF-")
    folder = page.parent
    entry = json.loads((folder / FAST[0].stem / "manifest_entry.json").read_text())
    sections = [Section(FAST[0].stem, "Cohort flow", entry, None)]
    document = build_document(folder, sections, describe_sources(request), replace(request, out=folder))
    assert write_pdf(folder, document).read_bytes() == content
    assert document["sections"][0]["figures"][0]["number"] == 2
    assert document["diagram"]["number"] == 1


def test_checklists_are_filled_where_the_run_knows_and_open_elsewhere() -> None:
    facts = {"n_centres": 12, "cohorts": "clinical 867", "population": "all", "models": None}
    strobe, claim, stard = fill_checklists(facts, {"01": "Cohort flow"})
    by_number = {item.number: item for item in strobe.items}
    assert len(strobe.items) == 26
    assert len(claim.items) == 44
    assert by_number["4"].answer == "Cohort of patients with ischaemic stroke; clinical 867."
    assert by_number["13"].answer == "See section “Cohort flow”."
    assert by_number["22"].state == by_number["8"].state == "open"
    assert by_number["6"].state == "partly"
    assert next(item for item in stard.items if item.number == "10a").state == "open"
    assert "open" in stard.summary


def test_disclosure_control_reaches_every_count_of_the_report(registry: Path, tmp_path: Path) -> None:
    page = make_report(Request(registry, tmp_path, disclosure=True), scripts=FAST)
    flow = pd.read_csv(page.parent / FAST[0].stem / "flow.csv", dtype=str)
    counts = {cell.replace(",", "") for cell in flow.iloc[:, 2:].to_numpy().ravel()}
    assert "≤7" in counts
    assert all(int(cell) % 5 == 0 for cell in counts - {"≤7"})
    assert "disclosure control on" in page.read_text()
    assert "n = 610" in page.read_text()
    assert " 607" not in page.read_text()


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
