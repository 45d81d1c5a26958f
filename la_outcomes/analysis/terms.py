"""Design matrix from a tidy frame and a list of terms.

A term is a column name, an interaction of named terms (``"age:nihss"``), or an object that states a coding:
`CategoricalTerm` (treatment contrasts with a stated reference) or `SplineTerm` (restricted cubic spline).
Columns are named as R names them: ``sexMale`` for the level Male of sex, ``age'`` for a spline's second
column (``rms``), ``age:sexMale`` for an interaction. A design has no intercept column: every model here has
its own intercept or thresholds.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.codings import Categories, Coding, Interaction, Numeric, Spline, column, numbers
from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.splines import knot_places
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class CategoricalTerm:
    """A variable coded by treatment contrasts against ``reference``.

    ``reference=None`` takes the first category of a categorical column, else the first value in sorted
    order, as R's ``factor`` does. Levels that no row has get no column.
    """

    name: str
    reference: Hashable = None


@dataclass(frozen=True)
class SplineTerm:
    """A restricted cubic spline of ``name`` with ``knots`` knots (3-7, at Harrell's quantiles) or at
    stated positions. See `la_outcomes.analysis.splines.restricted_cubic_spline`."""

    name: str
    knots: int | tuple[float, ...] = 4


Term = str | CategoricalTerm | SplineTerm


@dataclass(frozen=True)
class Design:
    """Encoded terms.

    Attributes
    ----------
    matrix : n rows by p columns, without an intercept.
    columns : the p names, as R would give them.
    sources : the term each column comes from.
    codings : what `encode` applies to a new frame.
    """

    matrix: FloatArray
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    codings: tuple[Coding, ...]

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        """Return the columns for new rows, with the levels and knots learned from the first ones."""
        matrix = _stack([coding.encode(frame) for coding in self.codings], len(frame))
        if not np.isfinite(matrix).all():
            bad = self.columns[int(np.flatnonzero(~np.isfinite(matrix).all(axis=0))[0])]
            raise StatisticsError(
                f"{bad} is missing or infinite in a row to predict", where=bad, hint="predict complete rows"
            )
        return matrix

    def columns_of(self, term: str) -> list[int]:
        """Return the positions of a term's columns, by the term's or a column's own name.

        Raises
        ------
        StatisticsError
            No such term in the model.
        """
        found = [i for i, names in enumerate(zip(self.columns, self.sources, strict=True)) if term in names]
        if not found:
            raise StatisticsError(
                f"{term} is not a term of the model", where=term, hint=f"terms: {', '.join(self.sources)}"
            )
        return found


def term_variables(terms: Sequence[Term]) -> list[str]:
    """Return the columns of the frame that ``terms`` need; an interaction needs each of its parts."""
    names = [
        part for term in terms for part in (_name(term).split(":") if isinstance(term, str) else [term.name])
    ]
    return list(dict.fromkeys(names))


def build_design(frame: pd.DataFrame, terms: Sequence[Term], *, intercepts: int = 1) -> Design:
    """Encode ``terms`` from complete rows and check that their coefficients can be estimated.

    ``intercepts`` counts the intercept or thresholds that the model adds.

    Raises
    ------
    StatisticsError
        A term twice, a variable with a single value or level, infinite values, fewer rows than parameters,
        or columns that are an exact linear combination of others; the variables are named.
    """
    declared = {_name(term): term for term in terms}
    if len(declared) < len(terms):
        raise StatisticsError(
            "a term is given twice", where=", ".join(_name(term) for term in terms), hint="leave one out"
        )
    codings = tuple(_learn(frame, term, declared) for term in terms)
    columns = tuple(name for coding in codings for name in coding.columns)
    sources = tuple(name for name, coding in zip(declared, codings, strict=True) for _ in coding.columns)
    matrix = _stack([coding.encode(frame) for coding in codings], len(frame))
    design = Design(matrix, columns, sources, codings)
    _require_estimable(design, intercepts)
    return design


def _name(term: Term) -> str:
    return term if isinstance(term, str) else term.name


def _stack(blocks: list[FloatArray], n: int) -> FloatArray:
    return np.hstack(blocks) if blocks else np.empty((n, 0))


def _learn(frame: pd.DataFrame, term: Term, declared: dict[str, Term]) -> Coding:
    """Return the coding of one term; parts of an interaction keep the coding declared for them."""
    if isinstance(term, CategoricalTerm):
        return Categories(term.name, _levels(column(frame, term.name), term))
    if isinstance(term, SplineTerm):
        return Spline(term.name, tuple(knot_places(numbers(frame, term.name), term.knots, term.name)))
    if ":" in term and term not in frame.columns:
        parts = term.split(":")
        codings = tuple(_learn(frame, declared.get(part, part), declared) for part in parts)
        _require_margins(term, codings, declared)
        return Interaction(codings)
    values = column(frame, term)
    if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype.kind in "OU":
        return Categories(term, _levels(values, CategoricalTerm(term)))
    return Numeric(term)


def _require_margins(term: str, codings: tuple[Coding, ...], declared: dict[str, Term]) -> None:
    """Refuse an interaction whose categorical part would need a column for its reference level, as R adds
    where the interaction of the other parts is not a term of its own."""
    margins = {frozenset(name.split(":")) for name in declared}
    for coding in codings:
        others = [name for part in codings if part is not coding for name in part.variables]
        if isinstance(coding, Categories) and frozenset(others) not in margins:
            raise StatisticsError(
                f"{term} needs {':'.join(others)} as a term of its own",
                where=term,
                hint="give the main effects too: every part, and for three parts every pair",
            )


def _levels(values: pd.Series, term: CategoricalTerm) -> tuple[Hashable, ...]:
    """Return the levels that occur, the reference first."""
    present = values.dropna().unique()
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [level for level in values.cat.categories if level in set(present)]
    else:
        levels = sorted(present)
    if len(levels) < 2:
        raise StatisticsError(
            f"{term.name} has one level only ({levels[0] if levels else 'none'})",
            where=term.name,
            hint="leave the variable out, or check the selection of rows",
        )
    if term.reference is None:
        return tuple(levels)
    if term.reference not in levels:
        raise StatisticsError(
            f"no row of {term.name} has the reference level {term.reference!r}",
            where=term.name,
            hint=f"levels: {', '.join(map(str, levels))}",
        )
    return (term.reference, *(level for level in levels if level != term.reference))


def _require_estimable(design: Design, intercepts: int) -> None:
    matrix = design.matrix
    n, p = matrix.shape
    for name, low, high in zip(design.columns, matrix.min(axis=0), matrix.max(axis=0), strict=True):
        _require_range(low, high, name)
    if n <= p + intercepts - 1:
        raise StatisticsError(
            f"{n} rows cannot estimate {p + intercepts} parameters",
            where=", ".join(design.columns),
            hint="use fewer terms or more patients",
        )
    if p > 1:
        _require_independent(matrix, design.columns)


def _require_range(low: float, high: float, name: str) -> None:
    if not (np.isfinite(low) and np.isfinite(high)):
        raise StatisticsError(
            f"{name} holds infinite or missing values", where=name, hint="a logarithm of 0?"
        )
    if high - low <= 4 * np.finfo(float).eps * max(abs(low), abs(high)):
        raise StatisticsError(f"{name} is constant", where=name, hint="leave the variable out")


def _require_independent(matrix: FloatArray, columns: tuple[str, ...]) -> None:
    """Refuse columns that are a linear combination of others (and of the intercept)."""
    centred = matrix - matrix.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    correlation = (centred.T @ centred) / np.outer(norms, norms)
    # The squared singular values of a Gram matrix blur below 1e-8; only then pay for a decomposition.
    if np.linalg.eigvalsh(correlation)[0] > 1e-8:
        return
    _, singular, directions = np.linalg.svd(centred / norms, full_matrices=False)
    if singular[-1] > 1e-7 * singular[0]:
        return
    involved = [name for name, weight in zip(columns, directions[-1], strict=True) if abs(weight) > 1e-6]
    raise StatisticsError(
        f"perfect collinearity between {', '.join(involved)}",
        where=", ".join(involved),
        hint="each is a linear combination of the others: leave one out",
    )
