"""Table 1 and how any table of results is put into words for reading."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError

_HEADINGS = {
    "n": "n", "m": "m", "p_value": "p", "p": "p", "smd": "SMD", "df": "df", "common_odds_ratio": "cOR",
    "chi2": "χ²", "pearson_r": "Pearson r", "spearman_rho": "Spearman ρ", "dice_0_percent": "Dice 0, %",
}  # fmt: skip
_UNITS = {"_ml": ", mL", "_percent": ", %", "_mm": ", mm", "_hours": ", h"}
_WORDS = {
    "ccc": "CCC", "sd": "SD", "auc": "AUC", "p": "p", "ml": "mL", "wmh": "WMH", "la": "LA", "mri": "MRI",
    "ct": "CT", "nri": "NRI", "idi": "IDI", "icc": "ICC", "r": "r", "iqr": "IQR", "mrs": "mRS",
}  # fmt: skip

Kind = Literal["mean", "median", "yes", "levels"]


@dataclass(frozen=True)
class Variable:
    """A row (or a block of rows) of a baseline table.

    ``kind``: ``mean`` prints mean (SD); ``median`` median [quartiles]; ``yes`` n (%) of ones; ``levels``
    n (%) of each level.
    """

    column: str
    printed: str
    kind: Kind


def baseline_table(
    frame: pd.DataFrame, variables: Sequence[Variable], by: str, groups: Mapping[Hashable, str]
) -> pd.DataFrame:
    """Describe each group of ``by``, in the order of ``groups`` (value -> printed heading).

    Percentages are of patients without a missing value; missing values are counted for each variable. ``smd``
    is the largest absolute standardised mean difference between any two groups, empty where it is not
    defined. No p-values: differences at baseline are described, not tested.

    Raises
    ------
    StatisticsError
        No patient is in any group.
    """
    chosen = {name: frame[frame[by] == value] for value, name in groups.items()}
    chosen = {name: rows for name, rows in chosen.items() if len(rows)}
    if not chosen:
        raise StatisticsError("no patient is in any group", where=by)
    table = [{"variable": "Patients, n", **{name: f"{len(rows):,}" for name, rows in chosen.items()}}]
    for variable in variables:
        table += _block(chosen, variable)
    columns = ["variable", *chosen, "missing", "smd"]
    return pd.DataFrame(table).reindex(columns=columns).fillna("")


def _block(chosen: Mapping[str, pd.DataFrame], variable: Variable) -> list[dict[str, str]]:
    parts = {name: rows[variable.column] for name, rows in chosen.items()}
    known = {name: values.dropna() for name, values in parts.items()}
    n_missing = sum(len(parts[name]) - len(known[name]) for name in parts)
    if not any(len(values) for values in known.values()):
        return [{"variable": variable.printed, "missing": "all"}]
    smd = _largest_smd(list(known.values()), variable.kind)
    ends = {"missing": str(n_missing), "smd": "" if smd is None else f"{smd:.2f}"}
    if variable.kind != "levels":
        cells = {name: _summary(values, variable.kind) for name, values in known.items()}
        return [{"variable": variable.printed, **cells, **ends}]
    levels = sorted({level for values in known.values() for level in values.unique()})
    rows = [{"variable": variable.printed, **ends}]
    for level in levels:
        cells = {name: _share(values == level) for name, values in known.items()}
        printed = f"{level:g}" if isinstance(level, float) else str(level)
        rows.append({"variable": f"   {printed}", **cells})
    return rows


def _summary(values: pd.Series, kind: Kind) -> str:
    if values.empty:
        return "no value"
    if kind == "yes":
        return _share(values == 1)
    numbers = values.astype(float)
    if kind == "mean":
        spread = f" ({numbers.std():.1f})" if len(numbers) > 1 else ""
        return f"{numbers.mean():.1f}{spread}"
    low, middle, high = numbers.quantile([0.25, 0.5, 0.75])
    return f"{_short(middle)} [{_short(low)}, {_short(high)}]"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.1f}"


def _share(yes: pd.Series) -> str:
    return f"{int(yes.sum()):,} ({100 * yes.mean():.1f} %)" if len(yes) else "no value"


def _largest_smd(groups: Sequence[pd.Series], kind: Kind) -> float | None:
    pairs = combinations([values for values in groups if len(values) > 1], 2)
    found = [abs(smd) for a, b in pairs if (smd := standardised_difference(a, b, kind)) is not None]
    return max(found, default=None)


def standardised_difference(first: pd.Series, second: pd.Series, kind: Kind) -> float | None:
    """Standardised mean difference of two groups without missing values, second minus first.

    Numbers: difference of means over the root of the mean of both variances. Yes/no: the same for shares.
    Levels: Yang and Dalton's (2012) distance, which has no sign. None where nothing varies.

    References
    ----------
    Austin PC. Stat Med 2009;28:3083-3107, p. 3087. Yang D, Dalton JE. SAS Global Forum 2012, paper 335.
    """
    if kind == "levels":
        return _distance_of_shares(first, second)
    a, b = first.astype(float), second.astype(float)
    ddof = 0 if kind == "yes" else 1
    spread = float(np.sqrt((a.var(ddof=ddof) + b.var(ddof=ddof)) / 2))
    return float((b.mean() - a.mean()) / spread) if spread > 0 else None


def _distance_of_shares(first: pd.Series, second: pd.Series) -> float | None:
    levels = sorted(set(first.unique()) | set(second.unique()))[1:]
    if not levels:
        return None
    a, b = (np.array([(values == level).mean() for level in levels]) for values in (first, second))
    spread = (_multinomial(a) + _multinomial(b)) / 2
    if np.linalg.matrix_rank(spread) < len(levels):
        return None
    return float(np.sqrt((b - a) @ np.linalg.solve(spread, b - a)))


def _multinomial(shares: FloatArray) -> FloatArray:
    return np.asarray(np.diag(shares) - np.outer(shares, shares))


def for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text: an estimate and its interval in one cell, p-values and counts as journals do.

    Columns ``x``, ``x_ci_low``, ``x_ci_high`` (and ``estimate``, ``ci_low``, ``ci_high``) become one column
    ``x (95 % CI)``. Missing cells are empty.
    """
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        name = str(column)
        stem = name.removesuffix("estimate").rstrip("_")
        low, high = (f"{stem}_ci_{end}" if stem else f"ci_{end}" for end in ("low", "high"))
        if low in table.columns and high in table.columns and name not in (low, high):
            heading = f"{_heading(stem or 'estimate')} (95 % CI)"
            shown[heading] = [
                interval(*values) for values in table[[name, low, high]].itertuples(index=False)
            ]
        elif not name.endswith(("ci_low", "ci_high")):
            shown[_heading(name)] = [_cell(name, value) for value in table[column]]
    return shown


def _heading(name: str) -> str:
    """A column's name as a heading, with its unit: ``bias_ml`` becomes ``Bias, mL``."""
    if name in _HEADINGS:
        return _HEADINGS[name]
    stem, unit = name, ""
    for ending, printed in _UNITS.items():
        if name.endswith(ending):
            stem, unit = name.removesuffix(ending), printed
            break
    words = " ".join(_WORDS.get(word, word) for word in stem.split("_"))
    return (words[0].upper() + words[1:] if words[1:2].islower() else words) + unit


def interval(estimate: float, low: float, high: float) -> str:
    """An estimate and its interval with equal digits, ``1.29 (1.11 to 1.50)``; empty without an estimate."""
    if pd.isna(estimate):
        return ""
    if pd.isna(low) or pd.isna(high):
        return number(estimate)
    largest = max((abs(value) for value in (estimate, low, high) if np.isfinite(value)), default=0.0)
    digits = 0 if largest >= 100 else (1 if largest >= 10 else (2 if largest >= 1 else 3))
    first, second, third = (
        f"{value:,.{digits}f}" if np.isfinite(value) else number(value) for value in (estimate, low, high)
    )
    return f"{first} ({second} to {third})"


def _cell(name: str, value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name == "p" or name.endswith("p_value") or name.endswith("_p"):
        return p_value(float(value))  # type: ignore[arg-type]
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return number(float(value))  # type: ignore[arg-type]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as mappings from column to value."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def number(value: float) -> str:
    """A number with the digits that a reader can use: 0.123, 1.23, 12.3, 123, 1,234."""
    size = abs(value)
    if not np.isfinite(value):
        return "infinite" if value > 0 else "-infinite"
    if size >= 1000 or value == round(value):
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else (f"{value:.2f}" if size >= 1 else f"{value:.3f}")


def p_value(value: float) -> str:
    """A p-value: two digits above 0.01, three below, ``<0.001`` under that."""
    if value < 0.001:
        return "<0.001"
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}"
