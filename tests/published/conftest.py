"""The published reference cases, which live outside the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest


class Reference:
    """Data sets and the figures that R gave for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases: dict[str, Any] = json.loads((folder / "expected.json").read_text())["cases"]

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self._folder / name)

    def case(self, code: str) -> dict[str, Any]:
        """The case whose name starts with ``code``, as A01."""
        return next(case for name, case in self._cases.items() if name.startswith(code))

    def expected(self, code: str) -> dict[str, Any]:
        return self.case(code)["expected"]


@pytest.fixture(scope="session")
def reference() -> Reference:
    folder = os.environ.get("LA_OUTCOMES_REFERENCE")
    if not folder:
        pytest.skip("LA_OUTCOMES_REFERENCE is not set: the published reference cases are not at hand")
    return Reference(Path(folder) / "statistics")
