"""Who copies the blocks of README, tutorial and how-to pages gets what they say.

Heavy commands are run in a small form, given with each page; what cannot run here says why in the page.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from head_phantom import write_labels
from pages import ROOT, SHOWN, Reader, blocks, followed_pages
from toy_bundle import SPEC, onnx_network, write_bundle

from la_outcomes.segmentation.packaged import FOLDER, LA_MODEL

HOW_TO = ROOT / "docs" / "how-to"
RUN_ELSEWHERE = {"cluster.md"}  # its commands need a cluster: tests/integration; here they are only checked


def use(folder: Path, *sources: Path) -> None:
    """Copies of prepared files and folders in the reader's folder."""
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder / source.name)


def with_analyses(folder: Path) -> None:
    """The scripts as a checkout has them."""
    use(folder, ROOT / "analyses")


def phantoms_model(phantoms: Path, folder: Path) -> dict[str, str]:
    """A model that knows phantoms in the place of the packaged one, which knows heads."""
    use(folder, phantoms / "toy")
    return {"= 'la-ct-sim'": "= 'toy'", "<> 'la-ct-sim'": "<> 'toy'", "la-ct-sim": "toy"}


def packaged_model(phantoms: Path, folder: Path) -> dict[str, str]:
    """The packaged model itself, where the installation holds it."""
    held = (FOLDER / LA_MODEL / "model.json").exists()
    return {} if held else phantoms_model(phantoms, folder)


def test_what_is_not_run_says_why_and_what_is_run_is_known() -> None:
    known = SHOWN | {"bash", "python", "sql", "yaml"}
    for page in followed_pages():
        for block in blocks(page):
            where = f"{page.name}: {block.text[:60]!r}"
            assert block.language in known, where
            assert block.why_not is None or (block.language == "bash" and len(block.why_not) > 10), where
            commands_are_marked = block.language or "la-outcomes " not in block.text
            assert commands_are_marked or page.name in RUN_ELSEWHERE, where


def test_a_page_that_is_followed_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for page in followed_pages():
        runs = any(
            block.language in ("bash", "python", "sql") and not block.why_not for block in blocks(page)
        )
        assert not runs or f'"{page.name}"' in text, page.name


def test_readme(tmp_path: Path, demo: Path, phantoms: Path) -> None:
    use(tmp_path, demo)
    tmp_path.joinpath(demo.name).rename(tmp_path / "demo")
    with_analyses(tmp_path)
    Reader(tmp_path, {"make demo": "test -f demo/registry.duckdb", "make test": "true"}).follow(
        ROOT / "README.md"
    )


def test_tutorial(tmp_path: Path, demo: Path, phantoms: Path) -> None:
    use(tmp_path, demo)
    tmp_path.joinpath(demo.name).rename(tmp_path / "demo")
    with_analyses(tmp_path)
    small = {
        "make demo": "test -f demo/registry.duckdb",
        "source .venv/bin/activate": "true",
        "la-outcomes report --registry my.duckdb --out my-study || true": "true",
        **packaged_model(phantoms, tmp_path),
    }
    Reader(tmp_path, small).follow(ROOT / "docs" / "tutorial.md")
    assert len(list((tmp_path / "my-results" / "shards").glob("*.json"))) == 1


@pytest.mark.parametrize("page", ["query.md", "analysis.md"])
def test_pages_that_need_no_image(tmp_path: Path, page: str) -> None:
    with_analyses(tmp_path)
    Reader(tmp_path, {}).follow(HOW_TO / page)
    assert (tmp_path / "study.snapshot.duckdb").exists()


def test_other_tool_volumes(tmp_path: Path) -> None:
    with_analyses(tmp_path)
    Reader(tmp_path, {}).follow(HOW_TO / "other-tool-volumes.md")
    estimates = pd.read_csv(tmp_path / "study" / "07_outcome_mrs" / "estimates.csv")
    assert estimates["common_odds_ratio"].notna().all()


def test_a_clinical_variable_reaches_the_cohort(tmp_path: Path) -> None:
    """In a copy of the checkout, since the page changes the package."""
    for name in ("la_outcomes", "data_dictionary", "analyses", "tests/unit/registry"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    use(tmp_path, ROOT / "pyproject.toml")
    use(tmp_path / "tests" / "unit", ROOT / "tests" / "unit" / "test_dictionary.py")
    use(tmp_path / "tests", ROOT / "tests" / "conftest.py")
    small = {
        "tests/unit/test_dictionary.py ": "",
        "_schema.py\n": "_schema.py -k replayed -p no:cacheprovider\n",
    }
    Reader(tmp_path, small, checkout=tmp_path).follow(HOW_TO / "clinical-variable.md")
    assert "ldl_mmol_l" in (tmp_path / "data_dictionary" / "README.md").read_text(encoding="utf-8")


def test_cts_to_sql(tmp_path: Path, phantoms: Path) -> None:
    for number in range(1, 3):
        (tmp_path / "cts").mkdir(exist_ok=True)
        shutil.copy(phantoms / "cts" / f"h{number:02d}.nii.gz", tmp_path / "cts" / f"p{number:02d}.nii.gz")
    Reader(tmp_path, phantoms_model(phantoms, tmp_path)).follow(HOW_TO / "cts-to-sql.md")
    table = pd.read_csv(tmp_path / "tables" / "current_la_volume.csv")
    assert table["la_volume_ml"].notna().all()
    assert len(table) == 2


def test_dicom_archive(tmp_path: Path, heads: Path, phantoms: Path) -> None:
    for number, folder in enumerate(sorted((heads / "dicom").iterdir()), start=1):
        shutil.copytree(folder, tmp_path / "archive" / f"p{number:02d}")
    Reader(tmp_path, packaged_model(phantoms, tmp_path)).follow(HOW_TO / "dicom-archive.md")
    assert len(pd.read_csv(tmp_path / "scans" / "scans.csv")) == 4


def test_wmh_tool(tmp_path: Path, heads: Path) -> None:
    pairs = pd.read_csv(heads / "pairs.csv").head(1)
    for column in ("ct_path", "flair_path", "wmh_mask_path", "infarct_mask_path"):
        pairs[column] = [str((heads / path).resolve()) for path in pairs[column]]
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    Reader(tmp_path, {"/home/me": str(tmp_path)}).follow(HOW_TO / "wmh-tool.md")
    assert pd.read_csv(tmp_path / "labels" / "labels.csv")["status"].isin(["accepted", "review"]).all()


@pytest.mark.slow  # a training; the suite has others
def test_gpu_server(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", ["training", "training", "internal_validation"])
    small = {"--smoke": "--smoke --epochs 1 --iterations 2"}
    Reader(tmp_path, small).follow(HOW_TO / "gpu-server.md")
    assert (tmp_path / "trial" / "model.json").exists()


@pytest.mark.parametrize("page", ["calibrate.md", "swap-model.md"])
def test_pages_about_models(tmp_path: Path, phantoms: Path, page: str) -> None:
    with_analyses(tmp_path)
    use(tmp_path, phantoms)
    for path in (tmp_path / phantoms.name).iterdir():
        path.rename(tmp_path / path.name)
    small = phantoms_model(phantoms, tmp_path)
    if page == "swap-model.md":
        table = pd.read_csv(tmp_path / "scans.csv").head(2)
        table.to_csv(tmp_path / "scans.csv", index=False)
        card = {
            "training": {"slice_spacing_mm": [5.0, 7.0], "split": "none", "patients": 0, "simulated": False}
        }
        parity = {"equivalent": False, "reason": "a threshold", "dice_min": None, "cases": 0}
        network = onnx_network(SPEC, low_hu=10, high_hu=22)
        write_bundle(
            tmp_path / "my-model",
            network,
            name="mine",
            **card,
            parity=parity,
            intended_use="tests",
            limits="all",
        )
    Reader(tmp_path, small).follow(HOW_TO / page)
