"""Disclosure control of what is written: small counts hidden, others rounded, in tables, texts, pictures.

Inside ``protecting(True)`` every count of 1 to 7 is shown as "≤7" and every other is rounded to 5, so that
differences of shown counts do not give small ones back; shares lose their decimals; estimates in groups of
up to 7 are left out; points of single patients are not drawn. Rules: OpenSAFELY's output checking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.analysis.disclosure import round_counts, suppress_counts

LARGEST_HIDDEN = 7
_NO_COUNTS = ("m", "df", "grade", "n_boot", "position")
_WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
_N_IN_TEXT = re.compile(
    rf"(\bn = |\bof )({_WHOLE})|\b({_WHOLE})( (?:events|incomplete patients|patients|pairs|deaths)\b)"
)
_COUNT = re.compile(_WHOLE)
_SHARE = re.compile(rf"({_WHOLE}) \((\d+(?:\.\d+)?) %\)")

_on: ContextVar[bool] = ContextVar("disclosure_control", default=False)


@contextmanager
def protecting(on: bool) -> Iterator[None]:
    """Switch disclosure control on (or off) for everything that is printed inside."""
    token = _on.set(on)
    try:
        yield
    finally:
        _on.reset(token)


def is_protected() -> bool:
    """Whether disclosure control is on: points of single patients must then not be drawn."""
    return _on.get()


def count_text(n: int) -> str:
    """A count to print: ``1,234``; under disclosure control ``≤7`` or rounded to 5."""
    if not is_protected():
        return f"{n:,}"
    return suppress_counts([n])[0] if n <= LARGEST_HIDDEN else f"{shown_count(n):,}"


def shown_count(n: int) -> int:
    """A count that is stored: as it is, or rounded to 5."""
    return int(round_counts([n])[0]) if is_protected() else int(n)


def sentence(text: str) -> str:
    """A caption or headline with the counts in it as ``count_text`` prints them."""
    return _N_IN_TEXT.sub(_protect_match, text) if is_protected() else text


def _protect_match(match: re.Match[str]) -> str:
    before, first, second, after = match.groups()
    number = count_text(int((first or second).replace(",", "")))
    return f"{before or ''}{number}{after or ''}"


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it may be shown; the same table without disclosure control."""
    if not is_protected():
        return frame
    shown = _without_small_groups(frame.copy())
    for name in shown.columns:
        if str(name).endswith("percent"):
            shown[name] = shown[name].round(0)
        elif str(name) not in _NO_COUNTS:
            shown[name] = _counts(shown[name])
    return shown


def _counts(values: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_float_dtype(values):
        return values
    if pd.api.types.is_integer_dtype(values):
        return values.map(lambda n: count_text(int(n)))
    return values.map(_cell)


def _cell(value: Any) -> Any:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return count_text(int(value))
    if not isinstance(value, str):
        return value
    if _COUNT.fullmatch(value):
        return count_text(int(value.replace(",", "")))
    share = _SHARE.fullmatch(value)
    if share is None:
        return value
    n = int(share[1].replace(",", ""))
    return count_text(n) if 0 < n <= LARGEST_HIDDEN else f"{count_text(n)} ({float(share[2]):.0f} %)"


def _without_small_groups(frame: pd.DataFrame) -> pd.DataFrame:
    """Blank estimates in rows, and columns of a description, that are about 1 to 7 patients."""
    if "n" in frame and pd.api.types.is_numeric_dtype(frame["n"]):
        small = frame["n"].between(1, LARGEST_HIDDEN)
        floats = [name for name in frame if pd.api.types.is_float_dtype(frame[name]) and name != "n"]
        frame.loc[small, floats] = np.nan
        ranges = [name for name in frame if str(name).startswith(("quartiles", "limits", "ratio_limits"))]
        frame.loc[small, ranges] = ""
    first = frame.iloc[0] if len(frame) and frame.columns[0] == "variable" else pd.Series(dtype=object)
    for name, cell in first.items():
        if isinstance(cell, str) and _COUNT.fullmatch(cell) and int(cell.replace(",", "")) <= LARGEST_HIDDEN:
            frame[name] = [f"≤{LARGEST_HIDDEN}", *[""] * (len(frame) - 1)]
    return frame
