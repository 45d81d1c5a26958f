"""Read a table of any common format without interpreting its values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from la_outcomes.errors import InputError


def read_table(path: str | Path) -> pd.DataFrame:
    """Read CSV, TSV, Excel, Stata (.dta), SAS (.sas7bdat, .xpt) or SPSS (.sav, .zsav).

    Text formats keep every cell as it is written; missing codes are the mapping's business. Raises
    ``InputError`` where the file cannot be read, is empty, or has a column twice.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError("there is no such table", where=path)
    if suffix not in _READERS:
        raise InputError(f"{suffix or 'no suffix'} is no known table format", where=path.name, hint=_KNOWN)
    try:
        frame = _READERS[suffix](path)
    except Exception as error:  # each reader has its own family of errors
        raise InputError(f"cannot be read as {suffix}: {error}", where=path.name) from error
    frame.columns = frame.columns.astype(str).str.strip()
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise InputError(f"column {doubled[0]!r} occurs twice", where=path.name)
    if frame.empty:
        raise InputError("the table has no rows", where=path.name)
    return frame.astype(object).where(frame.notna(), None)


def _text(separator: str) -> Callable[[Path], pd.DataFrame]:
    def read(path: Path) -> pd.DataFrame:
        cells = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", header=None
        )
        return _with_header(cells)

    return read


def _excel(path: Path) -> pd.DataFrame:
    return _with_header(pd.read_excel(path, dtype=object, keep_default_na=False, header=None))


def _with_header(cells: pd.DataFrame) -> pd.DataFrame:
    """Take the first line as names; pandas itself would rename a column that occurs twice."""
    return cells.iloc[1:].set_axis(cells.iloc[0], axis=1).reset_index(drop=True)


def _statistical(name: str) -> Callable[[Path], pd.DataFrame]:
    def read(path: Path) -> pd.DataFrame:
        import pyreadstat

        frame, _ = getattr(pyreadstat, name)(str(path))
        return frame

    return read


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _text(","),
    ".tsv": _text("\t"),
    ".xlsx": _excel,
    ".xlsm": _excel,
    ".dta": _statistical("read_dta"),
    ".sas7bdat": _statistical("read_sas7bdat"),
    ".xpt": _statistical("read_xport"),
    ".sav": _statistical("read_sav"),
    ".zsav": _statistical("read_sav"),
}
_KNOWN = f"known: {', '.join(_READERS)}"
