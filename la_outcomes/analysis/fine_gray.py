"""Fine and Gray's regression of the subdistribution hazard, for an event that another one can forestall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from la_outcomes.analysis.covariance import sum_by
from la_outcomes.analysis.event_times import require_events, times_and_events
from la_outcomes.analysis.model_frame import coefficient_table
from la_outcomes.analysis.results import FloatArray, Missing, Result, complete_rows, require_choice
from la_outcomes.analysis.subdistribution import SubdistributionData, SubdistributionState, prepare
from la_outcomes.analysis.terms import Design, Term, build_design, term_variables
from la_outcomes.errors import StatisticsError

FineGrayCovariance = Literal["robust", "fixed weights"]
_MAX_ITERATIONS = 30
_DECREMENT = 1e-12
_LARGEST_STEP = 12.0


@dataclass(frozen=True)
class FineGrayModel:
    """Data, encoded terms and slopes, for predictions."""

    data: SubdistributionData
    design: Design
    slopes: FloatArray

    @cached_property
    def state(self) -> SubdistributionState:
        """Risk-set sums at the estimate."""
        return self.data.at(self.slopes)


@dataclass(frozen=True)
class FineGrayFit(Result):
    """A Fine-Gray regression (see `fit_fine_gray`).

    Attributes
    ----------
    coefficients : term, estimate (log subdistribution hazard ratio), se, z, p, hazard_ratio, ci_low, ci_high.
    cov : p by p covariance; ``covariance`` names its kind; ``n_clusters`` or None.
    loglik, loglik_null : pseudo log-likelihoods (Breslow's ties).
    n, n_events, n_competing, n_dropped : patients, events of interest, competing events, rows left out.
    """

    coefficients: pd.DataFrame
    cov: FloatArray
    loglik: float
    loglik_null: float
    n: int
    n_events: int
    n_competing: int
    n_dropped: int
    covariance: str
    n_clusters: int | None
    model: FineGrayModel = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()

    def predict(self, frame: pd.DataFrame, times: Sequence[float]) -> pd.DataFrame:
        """Return the cumulative incidence of each row of ``frame`` at ``times`` (R ``predict.crr``):
        1 - exp(-exp(x beta) H(t)), with H Breslow's baseline. One column a time.

        Raises
        ------
        StatisticsError
            A column of the model is absent or missing, or a time is outside the follow-up.
        """
        wanted = np.asarray(times, dtype=float)
        last = float(self.model.data.time.max())
        if wanted.size == 0 or wanted.min() < 0 or wanted.max() > last:
            raise StatisticsError(f"times must lie between 0 and {last:g}", where="times")
        hazard = np.concatenate([[0.0], np.cumsum(self.model.state.increments)])
        place = np.searchsorted(self.model.data.event_times, wanted, side="right")
        risk = np.exp((self.model.design.encode(frame) - self.model.data.centre) @ self.model.slopes)
        incidence = -np.expm1(-np.outer(risk, hazard[place]))
        return pd.DataFrame(incidence, index=frame.index, columns=list(times))


def fit_fine_gray(
    frame: pd.DataFrame,
    time: str,
    event: str,
    terms: Sequence[Term],
    *,
    covariance: FineGrayCovariance = "robust",
    cluster: str | None = None,
    missing: Missing = "raise",
) -> FineGrayFit:
    """Fit the hazard of the cumulative incidence of event 1 where event 2 competes.

    Patients with the competing event stay in the risk set with weight G(t-)/G(T-), G the Kaplan-Meier curve
    of censoring (Fine and Gray 1999, J Am Stat Assoc 94:496, eq. 6-8). Equals R ``cmprsk::crr``, standard
    errors too; with ``covariance="fixed weights"`` those of ``coxph(Surv(fgstart, fgstop, fgstatus) ~ terms,
    weights = fgwt, data = survival::finegray(...), ties = "breslow", cluster = id)``, which leave out that G
    is estimated.

    Parameters
    ----------
    frame : one row a patient; ``time`` days; ``event`` 0 censored, 1 of interest, 2 competing.
    terms : see `la_outcomes.analysis.terms`.
    cluster : column whose clusters' residuals are summed (no small-sample factor).

    How to read it: a ratio above 1 means a higher cumulative incidence, and no more: its size is neither the
    ratio of risks nor that of the rates among those who live. Show the cause-specific Cox regression beside
    it (Latouche et al. 2013, J Clin Epidemiol 66:648).

    Raises
    ------
    StatisticsError
        Events other than 0, 1, 2, no event of interest, no more events than coefficients, constant or
        collinear terms, a term that separates.
    """
    require_choice(covariance, ("robust", "fixed weights"), "covariance")
    needed = [time, event, *term_variables(terms), *([cluster] if cluster else [])]
    rows, dropped = complete_rows(frame, needed, missing)
    (days, code), _ = times_and_events(rows[time], rows[event], "raise", {0.0, 1.0, 2.0})
    require_events(code == 1)
    design = build_design(rows, terms)
    if (code == 1).sum() <= len(design.columns):
        raise StatisticsError(
            f"{int((code == 1).sum())} events cannot estimate {len(design.columns)} coefficients",
            where=event,
            hint="use fewer terms",
        )
    data = prepare(days, code, design.matrix)
    slopes, null = _maximise(data, design.columns)
    model = FineGrayModel(data, design, slopes)
    groups = pd.factorize(rows[cluster])[0].astype(np.int64)[data.order] if cluster else None
    cov = _covariance(model.state, covariance, groups)
    table = coefficient_table(design.columns, slopes, np.sqrt(np.diag(cov)), odds=True)
    return FineGrayFit(
        coefficients=table.rename(columns={"odds_ratio": "hazard_ratio"}),
        cov=cov,
        loglik=model.state.loglik,
        loglik_null=null,
        n=len(rows),
        n_events=int((code == 1).sum()),
        n_competing=int((code == 2).sum()),
        n_dropped=dropped,
        covariance=covariance,
        n_clusters=None if groups is None else int(groups.max()) + 1,
        model=model,
    )


def _maximise(data: SubdistributionData, columns: tuple[str, ...]) -> tuple[FloatArray, float]:
    """Newton's method with halving; the estimate and the pseudo log-likelihood without terms."""
    slopes = np.zeros(data.x.shape[1])
    state = data.at(slopes)
    null = state.loglik
    for _ in range(_MAX_ITERATIONS):
        step = np.linalg.solve(state.information, state.score)
        decrement = float(state.score @ step)
        for halving in range(30):
            trial = data.at(slopes + step * 0.5**halving)
            if np.isfinite(trial.loglik) and trial.loglik >= state.loglik - 1e-10 * abs(state.loglik):
                break
        slopes, state = trial.slopes, trial
        spread = np.abs(slopes) * data.x.std(axis=0)
        if spread.max() > _LARGEST_STEP:
            break
        if decrement < _DECREMENT:
            return slopes, null
    worst = columns[int(np.argmax(np.abs(slopes) * data.x.std(axis=0)))]
    raise StatisticsError(
        "the Fine-Gray regression did not converge",
        where=worst,
        hint="does this term separate those with the event from all others? leave it out or pool its levels",
    )


def _covariance(state: SubdistributionState, kind: str, groups: np.ndarray | None) -> FloatArray:
    residuals = state.score_residuals()
    if kind == "robust":
        residuals = residuals + state.censoring_residuals()
    if groups is not None:
        if groups.max() < 1:
            raise StatisticsError("one cluster only", where="cluster", hint="leave cluster= out")
        residuals = sum_by(residuals, groups)
    bread = np.linalg.inv(state.information)
    return np.asarray(bread @ (residuals.T @ residuals) @ bread)
