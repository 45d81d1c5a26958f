"""Every script by the same command: on a complete registry, on odd ones, and twice with the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from la_outcomes.analysis.outputs import ENTRY
from la_outcomes.analysis.study import Request, Study, load_study, run_script, run_study, script_paths
from la_outcomes.errors import UsageError
from la_outcomes.registry.ingest import ingest
from la_outcomes.registry.query import ask
from la_outcomes.shards import read_shard

STUDIES = {path.stem: load_study(path) for path in script_paths()}
QUERIES = sorted((script_paths()[0].parent / "queries").glob("*.sql"))


@pytest.fixture(scope="session")
def answers(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with every script's outputs on the complete registry."""
    out = tmp_path_factory.mktemp("answers")
    for study in STUDIES.values():
        assert run_study(study, Request(registry, out)) == []
    return out


def entry_of(out: Path, slug: str) -> dict[str, Any]:
    return json.loads((out / slug / ENTRY).read_text())  # type: ignore[no-any-return]


def results_of(out: Path, slug: str) -> pd.DataFrame:
    shards = [read_shard(path) for path in (out / "shards").glob("*.json")]
    rows = next(shard["rows"]["results"] for shard in shards if shard["case_id"] == slug)
    return pd.DataFrame(rows)


def test_scripts_are_named_after_their_study_and_short() -> None:
    assert len(STUDIES) == 11
    for path, study in zip(script_paths(), STUDIES.values(), strict=True):
        assert study.slug == path.stem
        assert len(path.read_text().splitlines()) <= 80, (
            f"{path.name}: intent only, the work is in the package"
        )
        assert path.read_text().startswith(f'"""{study.number} ')


@pytest.mark.parametrize("slug", STUDIES)
def test_a_script_leaves_tables_figures_results_and_says_what_is_simulated(answers: Path, slug: str) -> None:
    entry = entry_of(answers, slug)
    assert entry["is_simulated"] is True
    assert entry["tables"]
    for item in [*entry["tables"], *entry["figures"]]:
        assert "Simulated data." in item["caption"]
        assert "n = " in item["caption"]
        assert (answers / item["file"]).stat().st_size == item["bytes"]
    for figure in entry["figures"]:
        assert len(figure["alt"]) > 20
        assert (answers / figure["svg"]).exists()
    rows = results_of(answers, slug)
    assert len(rows) == entry["n_results"] > 0
    assert rows["is_simulated"].all()
    assert rows["result_id"].is_unique


def test_results_go_into_the_registry_and_every_query_is_answered(
    answers: Path, registry: Path, tmp_path: Path
) -> None:
    own = tmp_path / "registry.duckdb"
    own.write_bytes(registry.read_bytes())
    assert not ingest([answers], own).faults
    empty = {"09_impossible_outcomes"}
    assert len(QUERIES) >= 15
    for path in QUERIES:
        assert path.read_text().startswith("-- ")
        with ask(own, path.read_text()) as answer:
            assert (answer.df().empty) == (path.stem in empty), path.name


@pytest.mark.parametrize("slug", ["04_fazekas_agreement", "07_outcome_mrs"])
def test_twice_the_same_bytes(registry: Path, answers: Path, tmp_path: Path, slug: str) -> None:
    run_study(STUDIES[slug], Request(registry, tmp_path))
    first, second = (
        {path.name: path.read_bytes() for path in (out / slug).iterdir() if path.suffix != ".json"}
        for out in (answers, tmp_path)
    )
    assert first == second
    once, twice = (results_of(out, slug).drop(columns="run_id") for out in (answers, tmp_path))
    pd.testing.assert_frame_equal(once, twice)


def test_the_mrs_question_prints_naive_beside_true(answers: Path) -> None:
    estimates = pd.read_csv(answers / "07_outcome_mrs" / "estimates.csv")
    assert estimates["common_odds_ratio"].iloc[-1] == pytest.approx(1.35, abs=1e-6)
    assert list(estimates["m"].fillna(0)) == [0, 20, 20, 0, 0, 0]
    for _, naive in estimates.iloc[:-1].iterrows():
        assert naive["common_odds_ratio_ci_low"] < 1.35 < naive["common_odds_ratio_ci_high"]
    assert estimates["n"].iloc[0] < estimates["n"].iloc[1] < estimates["n"].iloc[2]
    nested = pd.read_csv(answers / "07_outcome_mrs" / "specifications.csv")
    assert nested["n"].iloc[1:].nunique() == 1, "nested specifications are on the same patients"


def test_the_flow_equals_the_registry_s_own(answers: Path, registry: Path) -> None:
    steps = "SELECT step, sum(n) AS n FROM cohort_flow WHERE reason IS NULL GROUP BY step"
    with ask(registry, steps) as answer:
        of_view = answer.df().set_index("step")["n"]
    flow = pd.read_csv(answers / "01_cohort_flow" / "flow.csv")
    own = flow[flow["not_included_because"].isna()].set_index("step")["all"]
    assert own["Patients"] == of_view["patients"]
    assert own["LA volume measured on CT"] == of_view["LA volume measured"]
    assert own["mRS at 3 months known"] == of_view["3-month mRS known"]


UNANSWERED = {
    "no_volume": {"02", "03", "04", "05", "06", "07", "08", "09", "10", "11"},
    "no_outcome": {"07", "08", "09", "11"},
    "same_outcome": {"07", "08", "09", "11"},
    "one_centre": {"05"},
    "no_mri": {"03", "05", "09", "10", "11"},
    "one_patient": {"02", "03", "04", "05", "06", "07", "08", "09", "11"},
    "nobody": {study.number for study in STUDIES.values()},
}


ODD = [
    (situation, slug)
    for situation, numbers in UNANSWERED.items()
    for slug, study in STUDIES.items()
    if study.number in numbers | {"01"}
]


@pytest.mark.parametrize(("situation", "slug"), ODD)
def test_a_question_without_an_answer_is_named_and_gets_no_figure(
    odd_registries: Callable[[str], Path], tmp_path: Path, situation: str, slug: str
) -> None:
    path = odd_registries(situation)
    study = STUDIES[slug]
    unanswered = run_study(study, Request(path, tmp_path))
    assert bool(unanswered) == (study.number in UNANSWERED[situation]), unanswered
    entry = entry_of(tmp_path, slug)
    figures = {figure["name"] for figure in entry["figures"]}
    if situation in ("nobody", "one_patient"):
        assert all(name.startswith("flow") or name == "pairs_by_cohort" for name in figures)
    if situation == "no_volume" and study.number in ("04", "05", "06", "07", "08", "09", "11"):
        assert not figures
    for line in unanswered:
        assert ": " in line
    for table in entry["tables"]:
        text = (tmp_path / table["file"]).read_text()
        assert "nan" not in text.lower().split(",")


def test_a_rerun_leaves_nothing_of_the_run_before(registry: Path, tmp_path: Path) -> None:
    study = STUDIES["02_baseline_table"]
    run_study(study, Request(registry, tmp_path))
    assert (tmp_path / study.slug / "by_quintile.csv").exists()
    run_study(study, Request(registry, tmp_path, exposure="none"))
    assert not (tmp_path / study.slug / "by_quintile.csv").exists()


@pytest.mark.parametrize(
    ("outcome", "exposure"),
    [
        ("mrs_3m", "none"),
        ("mrs_discharge", "none"),
        pytest.param("mrs_3m", "wmh_volume_ml", marks=pytest.mark.slow),
        ("mrs_discharge", "wmh_volume_ml"),
    ],
)
def test_other_outcomes_and_exposures(registry: Path, tmp_path: Path, outcome: str, exposure: str) -> None:
    for slug in ("01_cohort_flow", "02_baseline_table", "07_outcome_mrs"):
        unanswered = run_study(STUDIES[slug], Request(registry, tmp_path, outcome=outcome, exposure=exposure))
        assert all("Brant" in line and "separate" in line for line in unanswered)
    named = results_of(tmp_path, "07_outcome_mrs")["outcome"]
    assert {str(name).split(":")[0] for name in named} == {outcome}


def test_a_population_narrows_every_number(registry: Path, tmp_path: Path) -> None:
    request = Request(registry, tmp_path, population="cohort = 'clinical' AND age_years >= 60 -- older")
    run_study(STUDIES["01_cohort_flow"], request)
    entry = entry_of(tmp_path, "01_cohort_flow")
    with ask(registry, "SELECT * FROM analysis_cohort WHERE cohort = 'clinical' AND age_years >= 60") as rows:
        assert entry["n"] == len(rows.df())
    assert set(results_of(tmp_path, "01_cohort_flow")["population"]) == {request.population}


@pytest.mark.parametrize(
    "population", ["no_such_column = 1", "TRUE; DROP TABLE patients", "TRUE) UNION SELECT 1 --", "("]
)
def test_a_population_that_is_no_condition_is_wrong_use(
    registry: Path, tmp_path: Path, population: str
) -> None:
    with pytest.raises(UsageError, match="no condition"):
        run_study(STUDIES["01_cohort_flow"], Request(registry, tmp_path, population=population))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--exposure", "wmh_volume_ml"], 0),
        (["--jobs", "2"], 0),
        (["--population", "age_years > 300"], 4),
        (["--cluster", "tcp://10.0.0.1:8786"], 2),
        (["--population", "("], 2),
    ],
)
def test_exit_codes_of_a_script(registry: Path, tmp_path: Path, arguments: list[str], code: int) -> None:
    study: Study = STUDIES["01_cohort_flow"]
    asked = ["--registry", str(registry), "--out", str(tmp_path), *arguments]
    if code == 0:
        run_script(study, asked)
        return
    with pytest.raises(SystemExit) as stop:
        run_script(study, asked)
    assert stop.value.code == code


def test_no_registry_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        run_script(
            STUDIES["01_cohort_flow"], ["--registry", str(tmp_path / "none"), "--out", str(tmp_path / "o")]
        )
    assert stop.value.code == 3
