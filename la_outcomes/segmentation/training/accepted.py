"""The labels a training may use: accepted, of the training cohorts, each patient and centre on one side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from la_outcomes.errors import InputError

TRAINING_COHORT = "training"
VALIDATION_COHORT = "internal_validation"
_TRAINED_ON = (TRAINING_COHORT, VALIDATION_COHORT)
_COLUMNS = ("ct_scan_id", "patient_id", "cohort", "ct_path", "label_path", "status")


@dataclass(frozen=True)
class LabelCase:
    """One accepted label: the CT, its pseudo-label, and whose they are."""

    ct_scan_id: str
    patient_id: str
    cohort: str
    site: str
    anatomy: str
    ct_path: Path
    label_path: Path

    @property
    def case_id(self) -> str:
        """Name of the case in nnU-Net's files and in logs."""
        return self.ct_scan_id


def read_labels(labels_dir: str | Path, accepted: str | Path | None = None) -> list[LabelCase]:
    """The labels a training may use, ordered by CT scan id.

    ``labels_dir`` holds ``labels.csv`` (paths relative to it). Without ``accepted`` those with status
    accepted; with it exactly the CT scan ids of that CSV, whatever their status was. Raises
    ``InputError`` for missing columns, unknown or doubled ids, an accepted label without a file, a
    patient in two cohorts, a centre that also belongs to an external cohort, and where nothing is left.
    """
    file = Path(labels_dir) / "labels.csv"
    table = _read_csv(file, _COLUMNS)
    if table["ct_scan_id"].duplicated().any():
        raise InputError("a CT stands in the table of labels twice", where=file)
    if accepted is None:
        table = table[table["status"] == "accepted"]
    else:
        table = _listed(table, Path(accepted))
    _refuse_shared_centres(table, file)
    table = table[table["cohort"].isin(_TRAINED_ON)]
    cases = [_label_case(row, file.parent) for row in table.sort_values("ct_scan_id").to_dict("records")]
    _check_cases(cases, file)
    return cases


def labels_left_out(labels_dir: str | Path, cases: Sequence[LabelCase]) -> dict[str, int]:
    """How many labels of the training cohorts are not among ``cases``, by their status in ``labels.csv``."""
    table = _read_csv(Path(labels_dir) / "labels.csv", _COLUMNS)
    used = {case.ct_scan_id for case in cases}
    others = table[table["cohort"].isin(_TRAINED_ON) & ~table["ct_scan_id"].isin(used)]
    return {str(status): int(count) for status, count in others["status"].value_counts().items()}


def _read_csv(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not file.is_file():
        raise InputError("the table does not exist", where=file, hint="run la-outcomes label first")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(f"columns are missing: {', '.join(missing)}", where=file)
    return table


def _listed(table: pd.DataFrame, accepted: Path) -> pd.DataFrame:
    wanted = set(_read_csv(accepted, ("ct_scan_id",))["ct_scan_id"])
    unknown = sorted(wanted - set(table["ct_scan_id"]))
    if unknown:
        raise InputError(f"accepted CT without a label: {', '.join(unknown[:5])}", where=accepted)
    return table[table["ct_scan_id"].isin(wanted)]


def _label_case(row: Mapping[Any, Any], folder: Path) -> LabelCase:
    if not row["label_path"]:
        raise InputError(f"the accepted label of {row['ct_scan_id']} has no file", where=folder)
    return LabelCase(
        row["ct_scan_id"],
        row["patient_id"],
        row["cohort"],
        row.get("site", ""),
        row.get("anatomy", ""),
        folder / row["ct_path"],
        folder / row["label_path"],
    )


def _check_cases(cases: Sequence[LabelCase], file: Path) -> None:
    if not cases:
        raise InputError(
            "there is no accepted label to train on",
            where=file,
            hint="labels count with status accepted, in the cohorts training and internal_validation",
        )
    cohorts = defaultdict(set)
    for case in cases:
        cohorts[case.patient_id].add(case.cohort)
    both = [patient for patient, names in cohorts.items() if len(names) > 1]
    if both:
        raise InputError(f"patient {both[0]} is in training and in validation", where=file)


def _refuse_shared_centres(table: pd.DataFrame, file: Path) -> None:
    """External cohorts are other centres: one that also trains would make their scores too good."""
    if "site" not in table.columns:
        return
    trained_on = table["cohort"].isin(_TRAINED_ON)
    external = table["cohort"].isin(["external_test", "us_test"])
    shared = sorted((set(table.loc[trained_on, "site"]) & set(table.loc[external, "site"])) - {""})
    if shared:
        raise InputError(
            f"centre {shared[0]} is in a training cohort and in an external one",
            where=file,
            hint="a centre trains or tests; correct the column cohort",
        )
