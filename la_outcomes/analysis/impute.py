"""Multiple imputation by chained equations.

Every incomplete variable in turn is regressed on all others, its parameters are drawn from their posterior,
and its missing values are drawn given the parameters (van Buuren and Groothuis-Oudshoorn 2011, J Stat Softw
45(3)). See `la_outcomes.analysis.imputation_draws` for the draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.imputation_draws import draw_levels, draw_pmm
from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.errors import StatisticsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Method = Literal["pmm", "logistic", "ordinal"]


@dataclass(frozen=True)
class Imputations(Result):
    """Completed data sets; iterate over them, or take one by its number from 0.

    Attributes
    ----------
    frames : m frames, with the columns, types and index of the original.
    variables : variable, n_missing, method, of each incomplete column in the order of imputation.
    trace : variable, imputation, iteration, mean and sd of the imputed values (codes, for categories).
    seed, iterations : as asked for.
    """

    frames: tuple[pd.DataFrame, ...]
    variables: pd.DataFrame
    trace: pd.DataFrame
    seed: int
    iterations: int

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, number: int) -> pd.DataFrame:
        return self.frames[number]

    def to_frame(self) -> pd.DataFrame:
        """Return all completed data below each other, with a first column ``imputation`` from 1."""
        return pd.concat(
            [frame.assign(imputation=i) for i, frame in enumerate(self.frames, start=1)], ignore_index=True
        )[["imputation", *self.frames[0].columns]]

    def plot_convergence(self) -> Figure:
        """Return mean and SD of the imputed values by iteration, a line an imputation.

        Read it for streams that mingle without a trend; streams that stay apart or drift need more
        iterations or another model (van Buuren 2018, Flexible Imputation, section 6.5.2).
        """
        from matplotlib.figure import Figure

        names = list(self.variables["variable"])
        figure = Figure(figsize=(7, 1.8 * max(len(names), 1)), layout="constrained")
        axes = figure.subplots(max(len(names), 1), 2, squeeze=False, sharex=True)
        for row, name in zip(axes, names, strict=False):
            for axis, statistic in zip(row, ("mean", "sd"), strict=True):
                streams = self.trace[self.trace["variable"] == name]
                for _, stream in streams.groupby("imputation"):
                    axis.plot(stream["iteration"], stream[statistic], linewidth=0.8)
                axis.set_title(f"{name}: {statistic} of imputed values", fontsize=8)
        for axis in axes[-1]:
            axis.set_xlabel("iteration")
        return figure


@dataclass(frozen=True)
class _Column:
    """A variable as numbers (levels as 0..K-1; NaN where missing) and as columns of a design."""

    name: str
    values: FloatArray
    levels: tuple[object, ...]
    method: Method
    missing: NDArray[np.bool_]

    def block(self, values: FloatArray) -> FloatArray:
        """Return what it contributes as a predictor: itself, or a column a level but the first."""
        if len(self.levels) <= 2:
            return values[:, None]
        return (values[:, None] == np.arange(1, len(self.levels))).astype(float)


def impute(
    frame: pd.DataFrame,
    m: int = 20,
    seed: int = 0,
    iterations: int = 10,
    donors: int = 5,
    methods: Mapping[str, Method] | None = None,
    exclude: Sequence[str] = (),
) -> Imputations:
    """Complete ``frame`` ``m`` times.

    All columns take part, so give the outcome and auxiliary variables along with the analysis variables, and
    nothing else: leaving the outcome out biases its association towards 0 (Moons et al. 2006, J Clin
    Epidemiol 59:1092-1101). Comparable to R ``mice::mice`` with pmm, logreg and polr; unlike mice's polr the
    ordinal draws include the uncertainty of the parameters.

    Parameters
    ----------
    m, seed, iterations : imputations (as many as the percentage of incomplete rows), seed, cycles. The first
        imputations of a larger m are those of a smaller.
    donors : predictive mean matching draws from this many nearest observed values.
    methods : by variable, ``pmm`` (any number; imputes observed values only), ``logistic`` (two values) or
        ``ordinal`` (ordered categorical). Default by type: ordered categories of 3 or more levels are
        ordinal, two values logistic, numbers pmm.
    exclude : columns carried along as they are, neither imputed nor predictors (identifiers).

    Raises
    ------
    StatisticsError
        A column without any value, constant where observed, infinite, text, or an unordered category of
        more than two levels that is incomplete; fewer observed values than predictors; m below 2.
    """
    if m < 2 or iterations < 1 or donors < 1:
        raise StatisticsError(
            "m must be at least 2, iterations and donors at least 1",
            where="m, iterations, donors",
            hint="m = 20 and 10 iterations are usual",
        )
    chosen = dict(methods or {})
    columns = {
        str(name): _column(frame[name], chosen.pop(str(name), None))
        for name in frame.columns
        if name not in exclude
    }
    if chosen or set(exclude) - set(frame.columns):
        unknown = [*chosen, *(set(exclude) - set(frame.columns))]
        raise StatisticsError(
            f"there is no column {unknown[0]!r} to impute or exclude",
            where=unknown[0],
            hint="check its name",
        )
    order = sorted(
        (c for c in columns.values() if c.missing.any()), key=lambda column: int(column.missing.sum())
    )
    _require_enough(columns, order)
    streams = np.random.default_rng(seed).spawn(m)
    traces: list[tuple[str, int, int, float, float]] = []
    frames = []
    for number, rng in enumerate(streams, start=1):
        state = _run_chain(columns, order, rng, iterations, donors, number, traces)
        frames.append(_filled(frame, order, state))
    variables = pd.DataFrame(
        [(c.name, int(c.missing.sum()), c.method) for c in order], columns=["variable", "n_missing", "method"]
    )
    trace = pd.DataFrame(traces, columns=["variable", "imputation", "iteration", "mean", "sd"])
    return Imputations(tuple(frames), variables, trace, seed, iterations)


def _run_chain(
    columns: Mapping[str, _Column],
    order: Sequence[_Column],
    rng: np.random.Generator,
    iterations: int,
    donors: int,
    number: int,
    traces: list[tuple[str, int, int, float, float]],
) -> dict[str, FloatArray]:
    """Return the completed values of one imputation; append its trace."""
    state = {name: _start(column, rng) for name, column in columns.items()}
    blocks = {name: columns[name].block(values) for name, values in state.items()}
    for iteration in range(1, iterations + 1):
        for column in order:
            x = np.hstack([block for name, block in blocks.items() if name != column.name])
            drawn = _draw(column, x, rng, donors)
            state[column.name][column.missing] = drawn
            blocks[column.name] = column.block(state[column.name])
            traces.append((column.name, number, iteration, float(drawn.mean()), float(drawn.std())))
    return state


def _draw(column: _Column, x: FloatArray, rng: np.random.Generator, donors: int) -> FloatArray:
    seen = ~column.missing
    varying = np.ptp(x[seen], axis=0) > 0
    known, wanted, y = x[seen][:, varying], x[column.missing][:, varying], column.values[seen]
    if column.method == "pmm":
        return draw_pmm(y, known, wanted, rng, donors)
    return draw_levels(y.astype(np.int64), known, wanted, rng, column.name).astype(float)


def _start(column: _Column, rng: np.random.Generator) -> FloatArray:
    values = column.values.copy()
    if column.missing.any():
        values[column.missing] = rng.choice(column.values[~column.missing], int(column.missing.sum()))
    return values


def _column(series: pd.Series, method: Method | None) -> _Column:
    name, missing = str(series.name), series.isna().to_numpy()
    observed = series[~missing]
    if observed.empty:
        raise StatisticsError(f"{name} has no value at all", where=name, hint="leave the variable out")
    levels: tuple[object, ...] = ()
    values: FloatArray
    if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype.kind in "OU":
        levels = _levels(observed, incomplete=bool(missing.any()))
        values = np.asarray(series.map({level: i for i, level in enumerate(levels)}), dtype=np.float64)
    elif series.dtype.kind in "biuf":
        values = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
        if np.isinf(values).any():
            raise StatisticsError(f"{name} holds infinite values", where=name, hint="a logarithm of 0?")
        if (method or _default(values)) != "pmm":
            found = np.unique(values[~missing])
            levels = tuple(found.tolist())
            values = np.where(missing, np.nan, np.searchsorted(found, np.nan_to_num(values)))
    else:
        raise StatisticsError(f"{name} is neither number nor category", where=name, hint="exclude it")
    if missing.any() and len(np.unique(values[~missing])) < 2:
        raise StatisticsError(f"{name} is constant where observed", where=name, hint="exclude it")
    usual = _default(values) if len(levels) <= 2 else "ordinal"
    return _Column(name, values, levels, _checked(method or usual, name, levels), missing)


def _default(values: FloatArray) -> Method:
    return "logistic" if len(np.unique(values[~np.isnan(values)])) == 2 else "pmm"


def _checked(method: Method, name: str, levels: tuple[object, ...]) -> Method:
    fits = {"pmm": not levels, "logistic": len(levels) == 2, "ordinal": len(levels) >= 3}
    if method not in fits:
        raise StatisticsError(f"method {method!r} is not known", where=name, hint="pmm, logistic or ordinal")
    if not fits[method] and len(levels) > 1:
        raise StatisticsError(
            f"{name} has {len(levels)} levels: {method} does not fit",
            where=name,
            hint="logistic for 2 levels, ordinal for more, pmm for numbers",
        )
    return method


def _levels(observed: pd.Series, *, incomplete: bool) -> tuple[object, ...]:
    """Return the levels that occur, in their order."""
    present = set(observed.unique())
    if isinstance(observed.dtype, pd.CategoricalDtype):
        levels = tuple(level for level in observed.cat.categories if level in present)
        ordered = observed.cat.ordered
    else:
        levels, ordered = tuple(sorted(present, key=str)), False
    if incomplete and not ordered and len(levels) > 2:
        raise StatisticsError(
            f"{observed.name} is incomplete and its {len(levels)} categories have no order",
            where=observed.name,
            hint="split it into yes/no columns, make it an ordered categorical, or exclude it",
        )
    if len(levels) > 50:
        raise StatisticsError(
            f"{observed.name} has {len(levels)} categories", where=observed.name, hint="exclude=[...]"
        )
    return levels


def _require_enough(columns: Mapping[str, _Column], order: Sequence[_Column]) -> None:
    for column in order:
        predictors = sum(max(len(c.levels) - 1, 1) for c in columns.values() if c.name != column.name)
        n = int((~column.missing).sum())
        if predictors == 0 or n <= predictors + 1:
            raise StatisticsError(
                f"{column.name}: {n} observed values for {predictors} predictors",
                where=column.name,
                hint="exclude auxiliary variables, or add one if it stands alone",
            )


def _filled(frame: pd.DataFrame, order: Sequence[_Column], state: Mapping[str, FloatArray]) -> pd.DataFrame:
    completed = frame.copy()
    for column in order:
        values: NDArray[np.generic] = state[column.name]
        if column.levels:
            values = pd.Series(column.levels).to_numpy()[state[column.name].astype(int)]
        completed[column.name] = pd.Series(values, index=frame.index).astype(frame[column.name].dtype)
    return completed.infer_objects()
