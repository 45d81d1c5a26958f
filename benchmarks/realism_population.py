"""Are the simulated patients like real ones? Relations in a public stroke cohort and in publications.

python benchmarks/realism_population.py PARTICIPANTS.tsv [--infarcts DIR] --out DIR [--patients N] [--seed S]

PARTICIPANTS.tsv: of the Stroke Outcome Optimization Project (OpenNeuro ds004889): age, sex, NIHSS, mRS
at discharge. DIR: its infarct masks in MNI152 space. Prints two tables and writes them with a picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.imaging.nifti import read_mask
from la_outcomes.simulation.clinical import simulate_clinical
from la_outcomes.simulation.parameters import simulator_version

NIHSS_STRATA = ("0-4", "5-9", "10-15", "16+")
_EDGES = (-0.5, 4.5, 9.5, 15.5, 42.5)
# Schirmer et al. 2019, NeuroImage: Clinical 23:101884 (MRI-GENIE, acute ischaemic stroke)
PUBLISHED = {"WMH on MRI, mL a year of age (n = 2,533)": 0.95, "brain, mL a year of age (n = 2,783)": -2.4}


def real_patients(table: Path, infarcts: Path | None) -> pd.DataFrame:
    """Age, female, NIHSS, discharge mRS of real patients; infarct volume in mL (MNI) where it has a mask."""
    rows = pd.read_csv(table, sep="\t", na_values=["n/a"])
    found = pd.DataFrame(
        {
            "age": pd.to_numeric(rows["age"].astype(str).str.rstrip("+"), errors="coerce"),
            "female": rows["sex"].map({"F": 1.0, "M": 0.0}),
            "nihss": pd.to_numeric(rows["nihss"], errors="coerce"),
            "mrs": pd.to_numeric(rows["gs_rankin_6isdeath"], errors="coerce"),
        }
    )
    found["infarct"] = np.nan
    if infarcts is not None:
        found["infarct"] = [_volume(infarcts / f"{name}_lesion.nii.gz") for name in rows["participant_id"]]
    return found


def _volume(path: Path) -> float:
    if not path.exists():
        return np.nan
    mask = read_mask(path, None)
    return float((mask.data > 0).sum()) * mask.voxel_volume_ml


def simulated_patients(n: int, seed: int) -> pd.DataFrame:
    """The same variables of simulated patients of the clinical cohort, before anything went missing."""
    drawn = simulate_clinical({"clinical": n}, seed=seed).complete
    return pd.DataFrame(
        {
            "age": drawn["age_years"],
            "female": (drawn["sex"] == "female").astype(float),
            "nihss": drawn["nihss_admission"],
            "mrs": drawn["mrs_discharge"],
            "infarct": drawn["infarct_volume_ml"].where(drawn["infarct_volume_ml"] > 0),
            "wmh": drawn["tissue_volume_ml"],
            "brain": drawn["brain_volume_ml"],
        }
    )


def relations(patients: pd.DataFrame) -> dict[str, float]:
    """Marginals and rank correlations, each over the patients who have the variables."""
    figures = {"age, mean": patients["age"].mean(), "age, SD": patients["age"].std()}
    figures["female, %"] = 100 * patients["female"].mean()
    for name, unit in (("nihss", ""), ("infarct", ", mL"), ("mrs", "")):
        for q in (25, 50, 75):
            figures[f"{name}{unit}: {q} %"] = float(np.nanpercentile(patients[name], q))
    figures["died in hospital, %"] = 100 * float((patients["mrs"].dropna() == 6).mean())
    for one, other in (("nihss", "mrs"), ("nihss", "infarct"), ("age", "mrs"), ("age", "nihss")):
        figures[f"Spearman {one}-{other}"] = patients[one].corr(patients[other], method="spearman")
    return figures


def mrs_by_nihss(patients: pd.DataFrame) -> pd.DataFrame:
    """Share (%) with mRS 0-2 and mean mRS at discharge, by stratum of NIHSS."""
    known = patients.dropna(subset=["nihss", "mrs"])
    stratum = pd.cut(known["nihss"], list(_EDGES), labels=list(NIHSS_STRATA))
    grouped = known.groupby(stratum, observed=False)["mrs"]
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "mRS 0-2, %": 100 * grouped.apply(lambda m: (m <= 2).mean()),
            "mean": grouped.mean(),
        }
    )


def slopes(patients: pd.DataFrame) -> dict[str, float]:
    """mL a year of age, by least squares, of WMH and of the brain."""
    return {
        name: float(np.polyfit(patients["age"], patients[column], 1)[0])
        for name, column in zip(PUBLISHED, ("wmh", "brain"), strict=True)
    }


def tables(real: pd.DataFrame, simulated: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Real beside simulated: figures, and mRS by NIHSS."""
    figures = pd.DataFrame({"real": relations(real), "simulated": relations(simulated)})
    by_age = pd.DataFrame({"real": PUBLISHED, "simulated": slopes(simulated)})
    both = {"real": mrs_by_nihss(real), "simulated": mrs_by_nihss(simulated)}
    return pd.concat([figures, by_age]), pd.concat(both, axis=1)


def picture(path: Path, real: pd.DataFrame, simulated: pd.DataFrame) -> None:
    """mRS by NIHSS of both, and simulated WMH volume by age."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for offset, (name, patients) in enumerate((("real", real), ("simulated", simulated))):
        means = mrs_by_nihss(patients)["mean"]
        left.bar(np.arange(4) + 0.4 * offset, means, 0.38, label=name)
    left.set_xticks(np.arange(4) + 0.2, NIHSS_STRATA)
    left.set(xlabel="NIHSS on admission", ylabel="mean mRS at discharge")
    left.legend(frameon=False)
    decade = 10 * (simulated["age"] // 10)
    quartiles = simulated.groupby(decade)["wmh"].quantile([0.25, 0.5, 0.75]).unstack()
    quartiles = quartiles.loc[quartiles.index >= 40]
    right.fill_between(quartiles.index + 5, quartiles[0.25], quartiles[0.75], alpha=0.3)
    right.plot(quartiles.index + 5, quartiles[0.5])
    right.set(xlabel="age", ylabel="WMH, mL: median and quartiles", title="simulated")
    figure.suptitle(f"simulator {simulator_version()}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    """Read the arguments, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("participants", type=Path)
    parser.add_argument("--infarcts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    real = real_patients(asked.participants, asked.infarcts)
    simulated = simulated_patients(asked.patients, asked.seed)
    figures, strata = tables(real, simulated)
    print(f"simulator {simulator_version()}, {len(simulated)} simulated and {len(real)} real patients")
    print(figures.to_string(float_format=lambda value: f"{value:.3g}"))
    print(strata.to_string(float_format=lambda value: f"{value:.3g}"))
    figures.to_csv(asked.out / "realism_population.csv", index_label="figure")
    strata.to_csv(asked.out / "mrs_by_nihss.csv")
    picture(asked.out / "realism_population.png", real, simulated)


if __name__ == "__main__":
    main()
