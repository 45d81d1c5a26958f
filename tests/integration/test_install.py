"""Wheel and sdist: what is in them, and that the core runs with the core's dependencies alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKER = """
import sys
BLOCKED = {blocked!r}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in BLOCKED:
            raise ModuleNotFoundError(name + ' is no dependency of the core')
sys.meta_path.insert(0, Blocker())
import os
for name in ('fork', 'killpg', 'setsid', 'getuid', 'sched_getaffinity'):
    if hasattr(os, name):
        delattr(os, name)
"""
POSIX_ONLY = ("fcntl", "resource", "pwd", "grp", "termios")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return out


def core_distributions(wheel: Path) -> set[str]:
    """The core's dependencies and theirs, by normalised name."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    waiting = [line.split(":", 1)[1] for line in lines if line.startswith("Requires-Dist:")]
    found: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if "extra ==" in requirement:
            continue
        name = normal(re.match(r"\s*([A-Za-z0-9._-]+)", requirement)[1])  # type: ignore[index]
        if name in found:
            continue
        found.add(name)
        try:
            waiting += requires(name) or []
        except PackageNotFoundError:
            continue
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_both_hold_what_the_package_needs_and_nothing_else(dist: Path) -> None:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for needed in (
        "la_outcomes/py.typed", "la_outcomes/data_dictionary/scans.yaml", "la_outcomes/registry/views.sql",
        "la_outcomes/registry/migrations/0001_first_schema.sql", "la_outcomes/analyses/queries",
        "la_outcomes/exchange/fetch.py", "la_outcomes/simulation/parameters.yaml",
    ):  # fmt: skip
        assert any(name.startswith(needed) for name in inside), needed
    assert not [name for name in inside if name.startswith(("tests/", "benchmarks/", "docs/"))]
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "data_dictionary/scans.yaml"} <= names
    assert not [name for name in names if name.startswith((".venv", ".git/"))]


def test_the_core_runs_without_dev_dependencies_and_without_posix(dist: Path, tmp_path: Path) -> None:
    """What is no dependency of the core is hidden from it, and what only POSIX has is taken away."""
    (wheel,) = dist.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    allowed = core_distributions(wheel)
    blocked = {
        module
        for module, owners in packages_distributions().items()
        if not any(normal(owner) in allowed for owner in owners)
    }
    blocked = {module for module in blocked if module.isidentifier()}
    blocked = blocked - {"la_outcomes", *sys.stdlib_module_names} | set(POSIX_ONLY)
    assert {"torch", "pytest", "SimpleITK", "pydicom"} <= blocked
    (site / "blocker.py").write_text(BLOCKER.format(blocked=blocked))
    script = (
        "import blocker, sys; from la_outcomes.cli.main import run; "
        "sys.exit(run(['simulate', '--out', 'sim', '--patients', '30', '--seed', '1', '--no-images']) "
        "or run(['ingest', 'sim', '--registry', 'r.duckdb']) or run(['status', '--registry', 'r.duckdb']) "
        "or run(['export', '--registry', 'r.duckdb', '--out', 'x', '--format', 'csv']))"
    )
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "x" / "codebook.csv").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_new_environment_by_pip(dist: Path, tmp_path: Path, kind: str) -> None:
    """As users install it: pip, a new environment, the core's dependencies from the registry."""
    (package,) = dist.glob(kind)
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(package)]
    subprocess.run(command, check=True, capture_output=True, timeout=1800)
    listed = subprocess.run(
        [str(python), "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert "pytest" not in listed
    assert "torch" not in listed
    verb = [
        str(python.with_name("la-outcomes")),
        "simulate",
        "--out",
        str(tmp_path / "sim"),
        "--patients",
        "30",
    ]
    subprocess.run([*verb, "--seed", "1", "--no-images"], check=True, capture_output=True, timeout=300)
