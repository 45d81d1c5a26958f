"""Fazekas grading: which scans, in an order that says nothing of their volume, and what was graded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from la_outcomes.review.catalogue import Catalogue, Row
from la_outcomes.review.records import Reader
from la_outcomes.review.worklist import PAGE_SIZE

FACETS = ("state", "modality", "cohort")
SCORES = ("fazekas_periventricular", "fazekas_deep")

_LATEST = """
latest AS (
    FROM fazekas_ratings
    QUALIFY row_number() OVER (
        PARTITION BY scan_id, rater, pass_no ORDER BY rated_at DESC NULLS LAST
    ) = 1
),
given AS (FROM latest WHERE fazekas_periventricular IS NOT NULL OR fazekas_deep IS NOT NULL)"""
_LISTED = f"""
WITH {_LATEST},
listed AS (
    SELECT s.scan_id, s.patient_id, s.modality, s.cohort, s.site, s.is_simulated, s.slice_thickness_mm,
           substr(sha256('scan|' || s.scan_id), 1, 16) AS ref,
           sha256($reader || '|' || s.scan_id) AS place,
           g.fazekas_periventricular, g.fazekas_deep, g.scan_id IS NOT NULL AS is_graded
    FROM scan s
    LEFT JOIN given g ON g.scan_id = s.scan_id AND g.rater = $reader AND g.pass_no = $pass_no
    WHERE s.path IS NOT NULL AND ($sample IS NULL OR s.scan_id IN (SELECT unnest($sample)))
)"""
_TESTS = {"modality": "modality = $modality", "cohort": "cohort = $cohort"}
_STATES = {"open": "NOT is_graded", "graded": "is_graded"}
_VALUES = {"state": "if(is_graded, 'graded', 'open')", "modality": "modality", "cohort": "cohort"}


@dataclass(frozen=True)
class GradeQuery:
    """What a reader asked the list of scans for; CT unless FLAIR is asked for."""

    chosen: Mapping[str, str] = field(default_factory=lambda: {"modality": "CT"})
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> GradeQuery:
        """The query in a page's address."""
        page = parameters.get("page", "1")
        chosen = {"modality": "CT"} | {name: parameters[name] for name in FACETS if parameters.get(name)}
        return cls(chosen, int(page) if page.isascii() and page.isdigit() and 0 < int(page) < 10**6 else 1)

    def address(self, **changes: str | int | None) -> str:
        """This query with changes, as the part of an address after ``?``."""
        values: dict[str, Any] = {**self.chosen, "page": self.page}
        if any(name != "page" for name in changes):
            values["page"] = 1
        values |= changes
        return urlencode([(k, v) for k, v in values.items() if v and (k, v) != ("page", 1)])


@dataclass(frozen=True)
class GradePage:
    """One page of scans to grade, with counts."""

    rows: list[Row]
    n: int
    n_graded: int
    counts: dict[str, dict[str, int]]
    query: GradeQuery

    @property
    def n_pages(self) -> int:
        """Pages of the list, at least one."""
        return max(1, math.ceil(self.n / PAGE_SIZE))


@dataclass(frozen=True)
class GradeList:
    """Scans as one rater sees them, in an order of his own; ``resample`` % come back in a second pass."""

    catalogue: Catalogue
    reader: Reader
    resample: float = 0.0

    def page(self, query: GradeQuery) -> GradePage:
        """One page with its counts."""
        counts = {facet: self._counts(query, facet) for facet in FACETS}
        total = int(self._ask(query, "SELECT count(*) AS n ...")[0]["n"])
        query = replace(query, page=min(query.page, max(1, math.ceil(total / PAGE_SIZE))))
        start = (query.page - 1) * PAGE_SIZE
        rows = self._ask(query, f"SELECT * ... ORDER BY place LIMIT {PAGE_SIZE} OFFSET {start}")
        return GradePage(rows, total, counts["state"].get("graded", 0), counts, query)

    def scan(self, ref: str) -> Row | None:
        """One scan by its reference, if this rater has it in this pass."""
        found = self._ask(GradeQuery({}), "SELECT * ... AND ref = $ref", {"ref": ref})
        return found[0] if found else None

    def neighbours(self, query: GradeQuery, scan: Row) -> tuple[str | None, str | None]:
        """The scan before, and the next one not graded yet, starting at the top again after the last."""
        place = {"place": scan["place"]}
        before = self._ask(query, "SELECT ref ... AND place < $place ORDER BY place DESC LIMIT 1", place)
        chosen = {k: v for k, v in query.chosen.items() if k != "state"}
        following = self._ask(
            replace(query, chosen=chosen),
            "SELECT ref ... AND NOT is_graded AND place <> $place"
            " ORDER BY place > $place DESC, place LIMIT 1",
            place,
        )
        return (before[0]["ref"] if before else None), (following[0]["ref"] if following else None)

    def last_graded(self) -> Row | None:
        """The scan whose grade this rater gave last in this pass."""
        found = self.catalogue.ask(
            f"WITH {_LATEST} SELECT scan_id, substr(sha256('scan|' || scan_id), 1, 16) AS ref FROM given"
            " WHERE rater = $reader AND pass_no = $pass_no AND rated_at IS NOT NULL"
            " ORDER BY rated_at DESC LIMIT 1",
            {"reader": self.reader.name, "pass_no": self.reader.pass_no},
        )
        return found[0] if found else None

    def has_row(self, scan_id: str) -> bool:
        """True where this rater has said something of the scan in this pass, taken back or not."""
        found = self.catalogue.ask(
            "SELECT 1 FROM fazekas_ratings WHERE scan_id = $scan AND rater = $reader AND pass_no = $pass_no",
            {"scan": scan_id, "reader": self.reader.name, "pass_no": self.reader.pass_no},
        )
        return bool(found)

    def _counts(self, query: GradeQuery, facet: str) -> dict[str, int]:
        others = replace(query, chosen={k: v for k, v in query.chosen.items() if k != facet})
        rows = self._ask(others, f"SELECT {_VALUES[facet]} AS value, count(*) AS n ... GROUP BY value")
        return {str(row["value"]): int(row["n"]) for row in rows}

    def _ask(self, query: GradeQuery, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        parts: list[str] = ["TRUE"]
        chosen: dict[str, str] = {}
        for facet, value in query.chosen.items():
            parts.append(_STATES.get(value, "FALSE") if facet == "state" else _TESTS[facet])
            chosen |= {} if facet == "state" else {facet: value}
        text = sql.replace("...", f"FROM listed WHERE {' AND '.join(parts)}")
        return self.catalogue.ask(f"{_LISTED} {text}", {**self._who(), **chosen, **(values or {})})

    def _who(self) -> dict[str, Any]:
        sample = self._resampled() if self.reader.pass_no > 1 else None
        return {"reader": self.reader.name, "pass_no": self.reader.pass_no, "sample": sample}

    def _resampled(self) -> list[str]:
        """Scans of the rater's first pass that come back, as ``worklist.resampled`` draws them."""
        rows = self.catalogue.ask(
            f"WITH {_LATEST} SELECT scan_id, pass_no FROM given WHERE rater = $reader"
            " AND pass_no IN (1, $pass_no) ORDER BY sha256($reader || '|again|' || scan_id)",
            {"reader": self.reader.name, "pass_no": self.reader.pass_no},
        )
        first = [row["scan_id"] for row in rows if row["pass_no"] == 1]
        again = [row["scan_id"] for row in rows if row["pass_no"] != 1]
        return list(dict.fromkeys([*first[: math.ceil(len(first) * self.resample / 100)], *again]))
