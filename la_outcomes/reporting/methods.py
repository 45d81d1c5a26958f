"""Methods paragraphs written from the run's own parameters, and the facts that checklists may name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from la_outcomes.analysis.names import cohort_label
from la_outcomes.analysis.study import EXPOSURES, OUTCOMES, Request


def report_facts(sources: Mapping[str, Any], request: Request, n_tested: int | None) -> dict[str, Any]:
    """Facts of a run by name; None where the registry does not tell."""
    cohorts = [
        f"{cohort_label(row['cohort'])} {int(row['patients']):,}" for row in sources.get("cohorts", [])
    ]
    models = [f"{row['name']} ({row['kind'].replace('-', ' ')})" for row in sources["models"]
              if row["is_active"] == "True"]  # fmt: skip
    counts = sources["counts"]
    return {
        "cohorts": ", ".join(cohorts) or None,
        "n_centres": counts["centres"] or None,
        "n_vendors": counts["vendors"] or None,
        "n_tested": f"{n_tested:,}" if n_tested else None,
        "population": request.population or "all patients of the registry",
        "outcome": OUTCOMES[request.outcome],
        "exposure": EXPOSURES[request.exposure],
        "models": ", ".join(models) or None,
        "package_version": sources["package_version"],
    }


def methods_paragraphs(
    facts: Mapping[str, Any], sources: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], seed: int
) -> list[tuple[str, str]]:
    """Heading and text of each paragraph; ``entries`` are the manifest entries of the answered scripts."""
    libraries = ", ".join(f"{name} {number}" for name, number in sources["libraries"].items())
    paragraphs = [
        ("Participants", _participants(facts, sources)),
        ("Measurement", _measurement(facts)),
        ("Outcome and exposure", _outcome(facts)),
        *(
            (entry["title"], f"{entry['specification']} Population: {entry['population']}.")
            for entry in entries
        ),
        ("Missing data", _missing(entries)),
        (
            "Inference and software",
            "Intervals are 95 % confidence intervals; p-values are two-sided and not adjusted for the number "
            "of questions, and no decision was made by them. Standard errors are robust to clustering in "
            "centres where there are at least 10; below 30 clusters captions warn. Random numbers started "
            f"from seed {seed}. la_outcomes {sources['package_version']} on Python {sources['python']} with "
            f"{libraries}.",
        ),
    ]
    return [(title, text) for title, text in paragraphs if text]


def _participants(facts: Mapping[str, Any], sources: Mapping[str, Any]) -> str:
    counts = sources["counts"]
    centres = f" from {counts['centres']:,} centres" if counts["centres"] else ""
    cohorts = f" Cohorts: {facts['cohorts']}." if facts["cohorts"] else ""
    simulated = counts["simulated_patients"]
    drawn = ""
    if simulated:
        versions = sorted({row["simulator_version"] for row in sources["simulators"]})
        drawn = (
            f" Of these, {simulated:,} are simulated (simulator {', '.join(versions)}): they do not exist, "
            "and their truth is known."
        )
    asked = facts["population"]
    return (
        f"The registry holds {counts['patients']:,} patients{centres}.{cohorts} Population: {asked}.{drawn}"
    )


def _measurement(facts: Mapping[str, Any]) -> str:
    models = facts["models"]
    if models is None:
        return "The registry holds no measured LA volume."
    return (
        f"LA volume on non-contrast CT was measured by {models}. The earliest usable CT of a patient counts. "
        "A volume that could not be measured is missing with a reason and is never counted as 0; 0 means "
        "measured and none found. Volumes are in native space, in mL."
    )


def _outcome(facts: Mapping[str, Any]) -> str:
    if facts["exposure"] == EXPOSURES["none"]:
        return f"The outcome was {facts['outcome']} (0 to 6); no exposure was asked for."
    return (
        f"The outcome was {facts['outcome']} (0 to 6, ordinal). The exposure was {facts['exposure']}, "
        "entered as ln(mL + 1) per one stated SD, and beside it as restricted cubic spline and in fifths (a "
        "volume on a limit belongs to the lower fifth). A common odds ratio above 1 means a worse mRS."
    )


def _missing(entries: Sequence[Mapping[str, Any]]) -> str:
    m = max((entry.get("m") or 0 for entry in entries), default=0)
    if not m:
        return "Analyses are of complete cases; missing values are counted by variable."
    return (
        f"Main estimates are of complete cases; beside them missing values were imputed {m} times by chained "
        "equations (predictive mean matching, logistic or ordinal by type) from outcome, exposure, "
        "covariates and the other mRS, and pooled by Rubin's rules with Barnard and Rubin's degrees of "
        "freedom."
    )
