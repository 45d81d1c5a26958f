"""Who reaches which step of the study, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from la_outcomes.analysis.cohort import load_pairing
from la_outcomes.analysis.names import cohort_label
from la_outcomes.analysis.study import OUTCOMES, Request

COHORTS = ("training", "internal_validation", "external_test", "us_test", "clinical")
_NO_CT = ("no CT", "no CT without contrast agent")


@dataclass(frozen=True)
class Condition:
    """A step: for each patient whether it holds, and the reason to print where it does not."""

    name: str
    holds: pd.Series
    reason: pd.Series


@dataclass(frozen=True)
class Step:
    """One box of the flow diagram: who got here, and those lost on the way from the box before."""

    name: str
    n: int
    lost: dict[str, int] = field(default_factory=dict)


def analysis_conditions(frame: pd.DataFrame, request: Request) -> list[Condition]:
    """From everybody to those with the exposure and the outcome asked for."""
    outcome = OUTCOMES[request.outcome]
    known = _condition(f"{outcome} known", frame[request.outcome].notna(), f"{outcome} not known")
    if request.exposure == "none":
        return [known]
    if request.exposure == "wmh_volume_ml":
        measured = frame["wmh_volume_ml"].notna()
        return [_condition("WMH volume measured on MRI", measured, "no WMH volume"), known]
    reason = frame["not_measured_reason"]
    return [
        Condition("Non-contrast head CT", ~reason.isin(_NO_CT), reason),
        Condition("LA volume measured on CT", frame["la_volume_ml"].notna(), reason),
        known,
    ]


def pairing_conditions(frame: pd.DataFrame, request: Request) -> list[Condition]:
    """From everybody to those whose pair gave a usable pseudo-label, with the reason of each loss."""
    found = load_pairing(request.registry, request.population).set_index("patient_id")
    found = found.reindex(frame["patient_id"]).set_axis(frame.index)
    not_paired = found["no_pair_reason"].fillna("no pair")
    return [
        Condition("FLAIR MRI", found["has_flair"].fillna(False).astype(bool), not_paired),
        Condition("Paired with a FLAIR", found["is_paired"].fillna(False).astype(bool), not_paired),
        Condition(
            "Usable pseudo-label",
            found["is_usable"].fillna(False).astype(bool),
            found["no_label_reason"].fillna("no pseudo-label made"),
        ),
    ]


def _condition(name: str, holds: pd.Series, reason: str) -> Condition:
    return Condition(name, holds, pd.Series(reason, index=holds.index))


def flow(conditions: Sequence[Condition], chosen: pd.Series, start: str) -> list[Step]:
    """The boxes for the chosen patients, the first of them ``start``."""
    boxes, left = [Step(start, int(chosen.sum()))], chosen
    for condition in conditions:
        lost = condition.reason[left & ~condition.holds].value_counts()
        left = left & condition.holds
        boxes.append(Step(condition.name, int(left.sum()), {str(why): int(n) for why, n in lost.items()}))
    return boxes


def flow_by_cohort(frame: pd.DataFrame, conditions: Sequence[Condition]) -> pd.DataFrame:
    """Counts at each step, and of each reason below it, with one column a cohort."""
    columns = {name: _counts(boxes) for name, boxes in flows_of_cohorts(frame, conditions).items()}
    everybody = _counts(flow(conditions, pd.Series(True, index=frame.index), "Patients"))
    table = pd.DataFrame({"all": everybody, **columns}).reindex(list(everybody)).fillna(0).astype(int)
    return table.rename_axis(["step", "not_included_because"]).reset_index()


def flows_of_cohorts(frame: pd.DataFrame, conditions: Sequence[Condition]) -> dict[str, list[Step]]:
    """The boxes of each cohort that has patients."""
    present = [cohort for cohort in COHORTS if (frame["cohort"] == cohort).any()]
    return {
        cohort_label(cohort): flow(conditions, frame["cohort"] == cohort, "Patients") for cohort in present
    }


def _counts(boxes: Sequence[Step]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for box in boxes:
        counts |= {(box.name, why): n for why, n in box.lost.items()}
        counts[box.name, ""] = box.n
    return counts


def flow_by_centre(frame: pd.DataFrame, conditions: Sequence[Condition]) -> pd.DataFrame:
    """Counts at each step, one row a cohort and centre."""
    rows = []
    for (cohort, site), own in frame.groupby(["cohort", "site"], dropna=False, sort=True):
        chosen = pd.Series(frame.index.isin(own.index), index=frame.index)
        steps = {box.name: box.n for box in flow(conditions, chosen, "Patients")}
        rows.append({"cohort": cohort_label(str(cohort)), "centre": site, **steps})
    return pd.DataFrame(rows)
