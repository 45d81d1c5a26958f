"""One question, one script: what it asks, the request of the user, and how a script runs and ends."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.protected import protecting
from la_outcomes.errors import InputError, LaOutcomesError, PartlyDoneError, UsageError
from la_outcomes.execution import Cluster, Jobs
from la_outcomes.provenance import Run

OUTCOMES = {"mrs_3m": "mRS at 3 months", "mrs_discharge": "mRS at discharge"}
EXPOSURES = {"la_volume_ml": "LA volume on CT", "wmh_volume_ml": "WMH volume on MRI", "none": "no exposure"}


@dataclass(frozen=True)
class Request:
    """What the user asked for; the same arguments for every script.

    ``jobs``: processes or cluster for resampling; the numbers do not depend on it.
    """

    registry: Path
    out: Path
    population: str | None = None
    outcome: str = "mrs_3m"
    exposure: str = "la_volume_ml"
    seed: int = 1
    disclosure: bool = False
    jobs: Jobs = 1

    def __post_init__(self) -> None:
        for name, value, known in (
            ("outcome", self.outcome, OUTCOMES),
            ("exposure", self.exposure, EXPOSURES),
        ):
            if value not in known:
                raise UsageError(
                    f"--{name} {value} is not known", where=name, hint=f"one of {', '.join(known)}"
                )

    @property
    def parameters(self) -> dict[str, Any]:
        """What decides the numbers, without the paths of a machine."""
        names = ("population", "outcome", "exposure", "seed", "disclosure")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Study:
    """A question of the study and the function that answers it.

    Attributes
    ----------
    number, name : ``"07"`` and ``"outcome_mrs"``; together the folder of the outputs.
    title, question, population, specification : said in the report, in the words of the script.
    answer : writes tables, figures and results to the ``Outputs``.
    """

    number: str
    name: str
    title: str
    question: str
    population: str
    specification: str
    answer: Callable[[Request, Outputs], None]

    @property
    def slug(self) -> str:
        """Name of the outputs' folder."""
        return f"{self.number}_{self.name}"


def run_study(study: Study, request: Request) -> list[str]:
    """Answer one question into ``request.out/<slug>`` and return what could not be answered, with reasons.

    Raises
    ------
    LaOutcomesError
        Wrong use, no registry or no space; what the data cannot answer is returned instead.
    """
    run = Run(f"analyses/{study.slug}", request.parameters, seed=request.seed)
    outputs = Outputs(request.out, study.slug, run, request.outcome, request.exposure)
    with protecting(request.disclosure):
        _answer(study, request, outputs)
    return outputs.unanswered


def _answer(study: Study, request: Request, outputs: Outputs) -> None:
    with outputs.attempt(study.title):
        study.answer(request, outputs)
    about = {
        "number": study.number,
        "title": study.title,
        "question": study.question,
        "population": request.population or study.population,
        "specification": study.specification,
    }
    outputs.finish(about)


def run_script(study: Study, arguments: Sequence[str] | None = None) -> None:
    """Run a script of ``analyses/`` from the command line and exit: 0, 4 where something had no answer."""
    try:
        request = _parse(study, arguments)
        unanswered = run_study(study, request)
        if unanswered:
            raise PartlyDoneError("not answered:\n" + "\n".join(f"  {line}" for line in unanswered))
    except LaOutcomesError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _parse(study: Study, arguments: Sequence[str] | None) -> Request:
    parser = argparse.ArgumentParser(description=f"{study.title}. {study.question}")
    parser.add_argument("--registry", type=Path, required=True, help="the DuckDB registry")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables, figures and results")
    parser.add_argument("--population", help="SQL condition on analysis_cohort")
    parser.add_argument("--outcome", choices=OUTCOMES, default="mrs_3m")
    parser.add_argument("--exposure", choices=EXPOSURES, default="la_volume_ml")
    parser.add_argument("--seed", type=int, default=1, help="of bootstrap and imputation")
    parser.add_argument(
        "--disclosure", action="store_true", help="hide counts of 1 to 7, round others to 5, draw no patient"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes for resampling, or SLURM jobs")
    parser.add_argument(
        "--cluster", help="slurm, tcp://127.0.0.1:PORT or tls://HOST:PORT of a Dask scheduler"
    )
    asked = vars(parser.parse_args(arguments))
    cluster = asked.pop("cluster")
    return Request(**asked if cluster is None else asked | {"jobs": Cluster(cluster, asked["jobs"])})


def scripts_folder() -> Path:
    """The folder of the numbered scripts: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "analyses", package.parent / "analyses"):
        if folder.is_dir():
            return folder
    raise InputError("the analyses are not installed", where=package, hint="install the package again")


def script_paths() -> list[Path]:
    """The numbered scripts in their order."""
    return sorted(scripts_folder().glob("[0-9][0-9]_*.py"))


def load_study(path: Path) -> Study:
    """Import a script by its path and return its ``STUDY``.

    Raises
    ------
    InputError
        The script defines none.
    """
    study = getattr(_import(path), "STUDY", None)
    if not isinstance(study, Study):
        raise InputError("the script defines no STUDY", where=path.name, hint="see the other scripts")
    return study


def _import(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"la_outcomes_analyses_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise InputError("not a Python script", where=path.name)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
