"""Exploratory mediation: how much of an effect runs through a mediator, and what it would take to undo that.

Without a design for it (time order, all confounders of exposure, mediator and outcome measured) a mediation
analysis is exploratory, and every output here says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from la_outcomes.analysis.least_squares import LinearFit, fit_linear
from la_outcomes.analysis.mediation_effects import MediationModels, effects
from la_outcomes.analysis.mediation_sensitivity import MediationSensitivity, sensitivity
from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.analysis.results import Missing, Result, complete_rows, require_choice, require_level
from la_outcomes.analysis.terms import Term, term_variables
from la_outcomes.errors import StatisticsError

__all__ = ["Mediation", "MediationSensitivity", "agrema_table", "mediate"]

MediationOutcome = Literal["linear", "ordinal"]


@dataclass(frozen=True)
class Mediation(Result):
    """A mediation analysis (see `mediate`); ``status`` is always "exploratory".

    Attributes
    ----------
    effects : status, scale, effect (``indirect``, ``direct``, ``total``, ``proportion mediated``), estimate,
        ci_low, ci_high, p. Scales: ``mean`` (of the outcome's value), ``latent`` (ordinal: log odds ratios),
        and ``P(outcome >= k)`` where a threshold was given.
    paths : status, path (``exposure -> mediator``, ``mediator -> outcome``, ``exposure -> outcome``),
        estimate, se, p, of the two regressions.
    sobel_se : delta-method standard error of the product of the first two paths.
    contrast : values of the exposure that are compared.
    sensitivity : `la_outcomes.analysis.mediation_sensitivity.MediationSensitivity`.
    assumptions : what must hold for the effects to be causal.
    """

    effects: pd.DataFrame
    paths: pd.DataFrame
    sobel_se: float
    contrast: tuple[float, float]
    sensitivity: MediationSensitivity
    exposure: str
    mediator: str
    outcome: str
    kind: str
    interaction: bool
    n: int
    n_dropped: int
    n_draws: int
    seed: int
    assumptions: tuple[str, ...]
    status: str = "exploratory"
    models: MediationModels | None = field(default=None, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the effects, each row named exploratory."""
        return self.effects.copy()


def mediate(
    frame: pd.DataFrame,
    exposure: str,
    mediator: str,
    outcome: str,
    covariates: Sequence[Term] = (),
    kind: MediationOutcome = "linear",
    *,
    contrast: tuple[float, float] = (0.0, 1.0),
    interaction: bool = False,
    threshold: float | None = None,
    cluster: str | None = None,
    n_draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Mediation:
    """Split an effect into a part through a mediator and the rest (natural effects, averaged over patients).

    Mediator: linear regression on exposure and covariates, normal residuals. Outcome: linear, or proportional
    odds, on exposure, mediator, covariates and, on request, exposure x mediator. With Y(x, M(x')) the outcome
    at exposure x and the mediator's value under x', for contrast (x0, x1):

        indirect = E Y(x1, M(x1)) - E Y(x1, M(x0)),  direct = E Y(x1, M(x0)) - E Y(x0, M(x0)),

    averaged with the other order where an interaction makes them differ (Imai, Keele and Tingley 2010,
    Psychol Methods 15:309). For ordinal outcomes Y is the level's value (mean mRS) or P(Y >= threshold), with
    the mediator integrated over its distribution; on the latent scale the indirect effect is the product of
    paths. Intervals are quasi-Bayesian: parameters drawn from their normal approximations. Equals R
    ``mediation::mediate(..., boot = FALSE)`` but for its draws.

    Parameters
    ----------
    frame : one row a patient; a skewed mediator (volume, NIHSS) as its logarithm.
    contrast : values of the exposure to compare, in its own unit: an age of (60, 70), or (0, 1) per SD.
    cluster : column; covariances are then cluster-robust.

    How to read it: as a hypothesis. An indirect effect is causal only if no common cause of mediator and
    outcome is left out: read `Mediation.sensitivity` with it.

    Raises
    ------
    StatisticsError
        Roles that overlap, equal contrast values, and what the two regressions refuse.
    """
    require_level(level)
    require_choice(kind, ("linear", "ordinal"), "kind")
    _check_roles(exposure, mediator, outcome, covariates, contrast)
    columns = [exposure, mediator, outcome, *term_variables(covariates), *([cluster] if cluster else [])]
    rows, dropped = complete_rows(frame, columns, missing)
    models = _fit_models(rows, (exposure, mediator, outcome), covariates, kind, interaction, cluster)
    rng = np.random.default_rng(seed)
    table = _effect_table(models, contrast, threshold, n_draws, rng, level)
    paths, sobel = _paths(models, exposure, mediator, outcome)
    return Mediation(
        effects=table,
        paths=paths,
        sobel_se=sobel,
        contrast=contrast,
        sensitivity=sensitivity(models, contrast),
        exposure=exposure,
        mediator=mediator,
        outcome=outcome,
        kind=kind,
        interaction=interaction,
        n=len(rows),
        n_dropped=dropped,
        n_draws=n_draws,
        seed=seed,
        assumptions=_assumptions(exposure, mediator, outcome),
        models=models,
    )


def _check_roles(
    exposure: str, mediator: str, outcome: str, covariates: Sequence[Term], contrast: tuple[float, float]
) -> None:
    named = [exposure, mediator, outcome, *term_variables(covariates)]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise StatisticsError(f"{twice[0]} has two roles", where=twice[0], hint="one role a variable")
    if not np.isfinite(contrast).all() or contrast[0] == contrast[1]:
        raise StatisticsError(f"a contrast of {contrast}", where="contrast", hint="two different values")


def _fit_models(
    rows: pd.DataFrame,
    roles: tuple[str, str, str],
    covariates: Sequence[Term],
    kind: str,
    interaction: bool,
    cluster: str | None,
) -> MediationModels:
    exposure, mediator, outcome = roles
    options: dict[str, Any] = {"covariance": "cluster", "cluster": cluster} if cluster else {}
    first = fit_linear(rows, mediator, [exposure, *covariates], **options)
    terms: list[Term] = [
        exposure,
        mediator,
        *([f"{exposure}:{mediator}"] if interaction else []),
        *covariates,
    ]
    if kind == "linear":
        second: Any = fit_linear(rows, outcome, terms, **options)
        total: LinearFit | None = fit_linear(rows, outcome, [exposure, *covariates])
    else:
        second, total = fit_proportional_odds(rows, outcome, terms, **options), None
    return MediationModels(rows, exposure, mediator, interaction, first, second, total)


def _effect_table(
    models: MediationModels,
    contrast: tuple[float, float],
    threshold: float | None,
    n_draws: int,
    rng: np.random.Generator,
    level: float,
) -> pd.DataFrame:
    point = effects(models, models.mediator_parameters(), models.outcome_parameters(), contrast, threshold)
    draws = np.array(
        [
            effects(models, *models.draw(rng), contrast, threshold)[["estimate"]].to_numpy().ravel()
            for _ in range(n_draws)
        ]
    )
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    above = (draws > 0).mean(axis=0)
    p = np.minimum(1.0, 2 * np.minimum(above, 1 - above))
    table = point.assign(ci_low=low, ci_high=high, p=np.maximum(p, 1 / n_draws))
    table.insert(0, "status", "exploratory")
    return table


def _paths(models: MediationModels, exposure: str, mediator: str, outcome: str) -> tuple[pd.DataFrame, float]:
    first, second = (fit.coefficients.set_index("term") for fit in (models.first, models.second))
    a, b, c = first.loc[exposure], second.loc[mediator], second.loc[exposure]
    rows = [
        (f"{source} -> {target}", row["estimate"], row["se"], row["p"])
        for source, target, row in ((exposure, mediator, a), (mediator, outcome, b), (exposure, outcome, c))
    ]
    table = pd.DataFrame(rows, columns=["path", "estimate", "se", "p"])
    table.insert(0, "status", "exploratory")
    sobel = float(np.sqrt((a["estimate"] * b["se"]) ** 2 + (b["estimate"] * a["se"]) ** 2))
    return table, sobel


def _assumptions(exposure: str, mediator: str, outcome: str) -> tuple[str, ...]:
    return (
        "exploratory: the analysis was not designed to identify mediation",
        f"no unmeasured common cause of {exposure} and {mediator}, of {exposure} and {outcome}, or of "
        f"{mediator} and {outcome}",
        f"no common cause of {mediator} and {outcome} is itself an effect of {exposure}",
        f"{exposure} precedes {mediator}, and {mediator} precedes {outcome}; all are measured without error",
    )


_BY_AUTHORS = "to be stated by the authors"


def agrema_table(result: Mediation, statements: dict[str, str] | None = None) -> pd.DataFrame:
    """Return what AGReMA asks a mediation analysis to report: section, item, reported.

    Items follow Lee et al. 2021 (JAMA 326:1045), in this package's words. What the analysis knows is filled
    in; the rest waits for ``statements`` (item to text).

    Raises
    ------
    StatisticsError
        A statement for an item that does not exist.
    """
    given = dict(statements or {})
    items = _agrema_items(result)
    unknown = sorted(set(given) - {item for _, item, _ in items})
    if unknown:
        raise StatisticsError(f"AGReMA has no item {unknown[0]!r}", where="statements")
    rows = [(section, item, given.get(item, text)) for section, item, text in items]
    table = pd.DataFrame(rows, columns=["section", "item", "reported"])
    table.insert(0, "status", result.status)
    return table


def _agrema_items(result: Mediation) -> list[tuple[str, str, str]]:
    mean = result.effects[result.effects["scale"] == result.effects["scale"].iloc[0]]
    found = "; ".join(
        f"{e.effect} {e.estimate:.3g} ({e.ci_low:.3g} to {e.ci_high:.3g})" for e in mean.itertuples()
    )
    chain = f"{result.exposure} -> {result.mediator} -> {result.outcome}"
    draws = f"{result.n_draws} quasi-Bayesian draws, seed {result.seed}"
    model = "proportional odds" if result.kind == "ordinal" else "linear"
    return [
        ("Title", "named a mediation analysis", "exploratory mediation analysis"),
        ("Introduction", "why this mechanism", _BY_AUTHORS),
        (
            "Introduction",
            "objective",
            f"how much of the effect of {result.exposure} runs through {result.mediator}",
        ),
        ("Methods", "design and source of data", _BY_AUTHORS),
        ("Methods", "participants and eligibility", _BY_AUTHORS),
        ("Methods", "sample size", f"{result.n} patients; {result.n_dropped} incomplete rows left out"),
        (
            "Methods",
            "effects of interest",
            f"natural direct and indirect effects, contrast {result.contrast}",
        ),
        ("Methods", "assumed causal model", chain),
        ("Methods", "causal assumptions", "; ".join(result.assumptions)),
        ("Methods", "measurement of exposure, mediator, outcome and their times", _BY_AUTHORS),
        (
            "Methods",
            "statistical methods",
            f"linear model of the mediator, {model} model of the outcome; {draws}",
        ),
        ("Methods", "exposure-mediator interaction", "modelled" if result.interaction else "assumed absent"),
        ("Methods", "sensitivity analyses", "unmeasured common cause of mediator and outcome"),
        ("Results", "participants with missing values", f"{result.n_dropped} rows"),
        ("Results", "estimates with uncertainty", found),
        ("Results", "result of the sensitivity analyses", result.sensitivity.in_words()),
        ("Discussion", "limits and untestable assumptions", _BY_AUTHORS),
        ("Discussion", "interpretation in the light of other evidence", _BY_AUTHORS),
        ("Other", "funding, interests, data and code", _BY_AUTHORS),
    ]
