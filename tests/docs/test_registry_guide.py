"""What the guide to the registry shows is run: the mapping, the Python lines, the questions, the verbs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from la_outcomes.cli.main import VERBS
from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry.database import open_for_writing
from la_outcomes.registry.files import snapshot_path
from la_outcomes.registry.imports.mapping import parse_mapping

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "registry.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return found


def test_the_mapping_fits_the_dictionary() -> None:
    mapping = parse_mapping(block("yaml"))
    assert mapping.tables == ["patients", "clinical", "outcomes"]
    assert "name" in mapping.ignore


def test_the_python_lines_read_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = tmp_path / "study.duckdb"
    with open_for_writing(registry) as connection:
        connection.execute("INSERT INTO patients (patient_id) VALUES ('p1')")
    assert snapshot_path(registry).name == "study.snapshot.duckdb"
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(block("python"), found)
    assert list(found["cohort"]["patient_id"]) == ["p1"]  # type: ignore[index]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_r_lines_are_r(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "lines.R").write_text(block("r"))
    parse = f"invisible(parse('{tmp_path / 'lines.R'}'))"
    assert subprocess.run(["Rscript", "-e", parse], capture_output=True).returncode == 0


def test_fifteen_questions_are_listed_and_there() -> None:
    named = re.findall(r"`(\d\d_\w+\.sql)`", TEXT)
    assert len(named) == 15
    assert {path.name for path in (ROOT / "analyses" / "queries").glob("*.sql")} >= set(named)


def test_every_verb_and_table_it_names_exists() -> None:
    verbs = set(re.findall(r"la-outcomes ([a-z-]+)", TEXT))
    assert verbs <= set(VERBS)
    assert {"ingest", "import-clinical", "query", "export", "erase", "freeze"} <= verbs
    views = {*load_dictionary().views, *load_dictionary().tables}
    assert {"analysis_cohort", "agreement_pairs", "cohort_flow", "frozen_patients", "ingested"} <= views
