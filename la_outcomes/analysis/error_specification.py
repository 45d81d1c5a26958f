"""How a measured exposure relates to a true one that only external pairs show: what is assumed and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    complete_rows,
    require_choice,
    require_rows,
    require_spread,
)
from la_outcomes.analysis.terms import Design, Term, build_design, term_variables
from la_outcomes.analysis.transforms import log_volume
from la_outcomes.errors import StatisticsError

Transport = Literal["error", "calibration"]
_FEWEST_PAIRS = 20


@dataclass(frozen=True)
class ErrorSpecification:
    """Names of the columns, and what the pairs and the cohort are assumed to share.

    Attributes
    ----------
    exposure : measured volume, mL, in cohort and pairs (CT).
    truth : true volume, mL, in the pairs only (MRI).
    error_terms : what the error depends on, in cohort and pairs: where an infarct is taken for
        leukoaraiosis, the infarct volume. Give it among the outcome's terms too.
    spread_terms : what the size of the error depends on (log-linear); none: one SD.
    offset : exposures enter as ln(mL + offset), and a measured 0 as "not seen", with a probability that
        depends on the truth; None: exposures are taken as they are, and 0 is a number like others.
    transport : ``error``: cohort and pairs share how a true value is measured, p(measured | true,
        error_terms); true values may be distributed otherwise in the pairs. ``calibration``: they share
        p(true | measured, error_terms and all terms of the outcome), so true values must be distributed
        alike and the pairs must hold all those columns.
    sd : the SD of the (transformed) true exposure that estimates are per; None: the pairs' own.
    """

    exposure: str
    truth: str
    error_terms: Sequence[Term] = ()
    spread_terms: Sequence[Term] = ()
    offset: float | None = 1.0
    transport: Transport = "error"
    sd: float | None = None

    @property
    def unit(self) -> str:
        """What one SD is an SD of."""
        return self.truth if self.offset is None else f"ln({self.truth} + {self.offset:g})"

    def assumptions(self) -> tuple[str, ...]:
        """Return, in words, what must hold and cannot be tested on these data."""
        given = ", ".join(term_variables(self.error_terms))
        given = f" and {given}" if given else ""
        shared = {
            "error": f"transportability: {self.exposure} given {self.truth}{given} is distributed in the "
            f"cohort as in the pairs; {self.truth} itself need not be",
            "calibration": f"transportability: {self.truth} given {self.exposure}{given} and the outcome's "
            "terms is distributed in the cohort as in the pairs",
        }
        return (
            shared[self.transport],
            f"non-differential error: given {self.truth}{given}, {self.exposure} tells nothing more about "
            "the outcome",
            f"{self.unit} is normal given the other terms, and enters the outcome linearly",
        )


@dataclass(frozen=True)
class Side:
    """Rows of the cohort or of the pairs, transformed: ``measured`` and ``zero`` (n), ``error`` and
    ``spread`` columns, ``terms`` (cohort, and pairs under ``calibration``), ``truth`` (pairs)."""

    measured: FloatArray
    zero: FloatArray
    error: FloatArray
    spread: FloatArray
    terms: FloatArray
    truth: FloatArray

    def take(self, rows: NDArray[np.intp]) -> Side:
        """Return the rows with these numbers, repeated as often as they are named."""
        names = ("measured", "zero", "error", "spread", "terms", "truth")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True)
class ErrorStudy:
    """Cohort and pairs ready for any correction.

    ``rows`` are the cohort's complete rows; ``columns`` the terms' columns; ``sd`` what estimates are per.
    """

    specification: ErrorSpecification
    cohort: Side
    pairs: Side
    rows: pd.DataFrame
    columns: tuple[str, ...]
    sd: float
    n_dropped: int
    n_pairs_dropped: int

    @property
    def floor(self) -> float | None:
        """The least true value: ln(offset), or none."""
        offset = self.specification.offset
        return None if offset is None else float(np.log(offset)) if offset > 0 else None


def read_study(
    cohort: pd.DataFrame,
    pairs: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    specification: ErrorSpecification,
    missing: Missing = "raise",
) -> ErrorStudy:
    """Check and transform cohort and pairs.

    Raises
    ------
    StatisticsError
        Fewer than 20 pairs, absent, missing or constant columns, negative volumes, the exposure or the truth
        among the terms, an error term that is not a term of the outcome, zeros that the pairs never show.
    """
    spec = specification
    require_choice(spec.transport, ("error", "calibration"), "transport")
    _check_roles(outcome, terms, spec)
    extra = [*term_variables(spec.error_terms), *term_variables(spec.spread_terms)]
    rows, dropped = complete_rows(cohort, [outcome, spec.exposure, *term_variables(terms), *extra], missing)
    shared = term_variables(terms) if spec.transport == "calibration" else []
    kept, pairs_dropped = complete_rows(pairs, [spec.exposure, spec.truth, *extra, *shared], missing)
    require_rows(len(kept), _FEWEST_PAIRS, "pairs")
    design = build_design(rows, terms)
    codings = build_design(kept, spec.error_terms), build_design(kept, spec.spread_terms)
    cohort_side = _side(rows, codings, design, spec, in_pairs=False)
    pairs_side = _side(kept, codings, design if shared else None, spec, in_pairs=True)
    require_spread(cohort_side.measured, spec.exposure)
    require_spread(pairs_side.measured, spec.exposure)
    require_spread(pairs_side.truth, spec.truth)
    if cohort_side.zero.any() and not pairs_side.zero.any():
        raise StatisticsError(
            f"{spec.exposure} is 0 in {int(cohort_side.zero.sum())} patients of the cohort and in no pair",
            where=spec.exposure,
            hint="pairs without a 0 cannot tell what a 0 means: add such pairs, or offset=None",
        )
    sd = float(pairs_side.truth.std(ddof=1)) if spec.sd is None else float(spec.sd)
    if not (np.isfinite(sd) and sd > 0):
        raise StatisticsError(f"an SD of {sd}", where="sd", hint="a positive number")
    return ErrorStudy(spec, cohort_side, pairs_side, rows, design.columns, sd, dropped, pairs_dropped)


def _check_roles(outcome: str, terms: Sequence[Term], spec: ErrorSpecification) -> None:
    named = term_variables(terms)
    for column in (outcome, spec.exposure, spec.truth):
        if column in named:
            raise StatisticsError(f"{column} is also a term", where=column, hint="give the other terms only")
    loose = [name for name in term_variables(spec.error_terms) if name not in named]
    if loose:
        raise StatisticsError(
            f"the error depends on {loose[0]}, which is not a term of the outcome",
            where=loose[0],
            hint="the error would be differential: add it to terms",
        )


def _side(
    frame: pd.DataFrame,
    codings: tuple[Design, Design],
    design: Design | None,
    spec: ErrorSpecification,
    *,
    in_pairs: bool,
) -> Side:
    error, spread = (coding.encode(frame) for coding in codings)
    measured = _transformed(frame[spec.exposure], spec.offset)
    zero = np.zeros(len(frame))
    if spec.offset is not None:
        zero = (frame[spec.exposure].to_numpy(dtype=float) == 0).astype(float)
    truth = _transformed(frame[spec.truth], spec.offset) if in_pairs else np.empty(len(frame))
    terms = np.empty((len(frame), 0)) if design is None else design.encode(frame)
    return Side(measured, zero, error, spread, terms, truth)


def _transformed(values: pd.Series, offset: float | None) -> FloatArray:
    if values.dtype.kind not in "biuf":
        raise StatisticsError(f"{values.name} does not hold numbers", where=values.name)
    return (
        values.to_numpy(dtype=float) if offset is None else log_volume(values, offset).to_numpy(dtype=float)
    )
