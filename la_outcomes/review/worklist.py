"""The work list: worst first, filtered, counted and paged in the database, for one reader."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from la_outcomes.review.catalogue import Catalogue, Row
from la_outcomes.review.figures import ALL_FIGURES
from la_outcomes.review.records import Reader

PAGE_SIZE = 50
KINDS = ("la_measurement", "pseudo_label")
FACETS = ("state", "status", "cohort", "manufacturer", "figure", "seen_by")
_UNKNOWN = "unknown"

_STANDING = """
standing AS (
    SELECT q.* FROM qc_reviews q
    ANTI JOIN qc_reviews u ON u.undoes = q.reviewed_at AND u.target_kind = q.target_kind
        AND u.target_id = q.target_id AND u.reviewer = q.reviewer AND u.pass_no = q.pass_no
    WHERE q.undoes IS NULL
    QUALIFY row_number() OVER (
        PARTITION BY q.target_kind, q.target_id, q.reviewer, q.pass_no ORDER BY q.reviewed_at DESC
    ) = 1
)"""
_LISTED = f"""
WITH {_STANDING},
mine AS (FROM standing WHERE reviewer = $reader AND pass_no = $pass_no),
others AS (
    SELECT target_kind, target_id, list(DISTINCT reviewer ORDER BY reviewer) AS seen_by,
           count(DISTINCT decision) > 1 AS is_disputed
    FROM standing WHERE pass_no = 1 GROUP BY ALL
),
listed AS (
    SELECT i.*, coalesce(i.manufacturer, '{_UNKNOWN}') AS vendor, m.decision, m.reason AS said_reason,
           m.comment, coalesce(o.seen_by, []) AS seen_by, coalesce(o.is_disputed, FALSE) AS is_disputed
    FROM item i
    LEFT JOIN mine m ON m.target_kind = i.kind AND m.target_id = i.target_id
    LEFT JOIN others o ON o.target_kind = i.kind AND o.target_id = i.target_id
    WHERE i.kind = $kind AND ($sample IS NULL OR i.target_id IN (SELECT unnest($sample)))
)"""
_ORDER = "concern DESC, ref"


@dataclass(frozen=True)
class Query:
    """What a reader asked the list for; unknown values match nothing rather than everything."""

    kind: str = KINDS[0]
    chosen: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """The query in a page's address; what cannot be understood is left out."""
        kind = parameters.get("kind", KINDS[0])
        page = parameters.get("page", "1")
        return cls(
            kind if kind in KINDS else KINDS[0],
            {name: parameters[name] for name in FACETS if parameters.get(name)},
            parameters.get("text", "")[:100],
            int(page) if page.isascii() and page.isdigit() and 0 < int(page) < 10**6 else 1,
        )

    def address(self, **changes: str | int | None) -> str:
        """This query with some facets, text or page changed, as the part of an address after ``?``."""
        values: dict[str, Any] = {"kind": self.kind, **self.chosen, "text": self.text, "page": self.page}
        if any(name != "page" for name in changes):
            values["page"] = 1
        values |= changes
        return urlencode([(k, v) for k, v in values.items() if v and (k, v) != ("page", 1)])


@dataclass(frozen=True)
class Page:
    """One page of the list: its rows, how many there are in all, and counts of each facet's values."""

    rows: list[Row]
    n: int
    n_reviewed: int
    n_all: int
    counts: dict[str, dict[str, int]]
    query: Query

    @property
    def n_pages(self) -> int:
        """Pages of the list, at least one."""
        return max(1, math.ceil(self.n / PAGE_SIZE))


@dataclass(frozen=True)
class WorkList:
    """The list as one reader sees it; ``resample`` is the percentage of a second pass."""

    catalogue: Catalogue
    reader: Reader
    resample: float = 0.0

    def page(self, query: Query) -> Page:
        """One page with its counts; a page number past the end gives the last page."""
        with self.catalogue.held("listed", f"{_LISTED} FROM listed", self._who(query.kind)):
            total = self._count(query)
            query = replace(query, page=min(query.page, max(1, math.ceil(total / PAGE_SIZE))))
            start = (query.page - 1) * PAGE_SIZE
            rows = self._of_held(query, f"SELECT * ... ORDER BY {_ORDER} LIMIT {PAGE_SIZE} OFFSET {start}")
            whole = self._of_held(
                Query(query.kind), "SELECT count(*) AS n, count(decision) AS n_reviewed ..."
            )[0]
            counts = {facet: self._counts(query, facet) for facet in FACETS}
        return Page(rows, total, whole["n_reviewed"], whole["n"], counts, query)

    def neighbours(self, query: Query, item: Row) -> tuple[str | None, str | None]:
        """Reference of the case before and of the next one not yet reviewed, both within the query.

        After the last one the search for the next starts at the top again.
        """
        place = {"concern": item["concern"], "ref": item["ref"]}
        before = self._ask(
            query,
            "SELECT ref ... AND (concern > $concern OR (concern = $concern AND ref < $ref))"
            " ORDER BY concern, ref DESC LIMIT 1",
            place,
        )
        chosen = {k: v for k, v in query.chosen.items() if k != "state"}
        following = self._ask(
            replace(query, chosen=chosen),
            "SELECT ref ... AND decision IS NULL AND ref <> $ref ORDER BY"
            " (concern < $concern OR (concern = $concern AND ref > $ref)) DESC, concern DESC, ref LIMIT 1",
            place,
        )
        return (before[0]["ref"] if before else None), (following[0]["ref"] if following else None)

    def item(self, ref: str) -> Row | None:
        """One case by its reference, if this reader has it in this pass."""
        for kind in KINDS:
            found = self._ask(Query(kind), "SELECT * FROM listed WHERE ref = $ref", {"ref": ref})
            if found:
                return found[0]
        return None

    def _count(self, query: Query, condition: str = "TRUE") -> int:
        return int(self._of_held(query, f"SELECT count(*) AS n ... AND {condition}")[0]["n"])

    def _counts(self, query: Query, facet: str) -> dict[str, int]:
        """How many cases each value of a facet would give with the other facets as they are."""
        others = replace(query, chosen={k: v for k, v in query.chosen.items() if k != facet})
        rows = self._of_held(others, f"SELECT {_VALUES[facet]} AS value, count(*) AS n ... GROUP BY value")
        counts = {str(row["value"]): int(row["n"]) for row in rows if row["value"] is not None}
        if facet == "state":
            counts["reviewed"] = sum(n for value, n in counts.items() if value != "open")
        if facet == "state" and self.reader.is_adjudicator:
            counts["disputed"] = self._count(others, "is_disputed")
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))

    def _ask(self, query: Query, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run ``sql`` on the list; ``...`` in it stands for the query's FROM and WHERE."""
        text, chosen = self._filtered(query, sql)
        return self.catalogue.ask(f"{_LISTED} {text}", {**self._who(query.kind), **chosen, **(values or {})})

    def _of_held(self, query: Query, sql: str) -> list[Row]:
        """As ``_ask``, of the list that is held."""
        return self.catalogue.ask(*self._filtered(query, sql))

    def _filtered(self, query: Query, sql: str) -> tuple[str, dict[str, Any]]:
        if query.chosen.get("state") == "disputed" and not self.reader.is_adjudicator:
            query = replace(query, chosen={k: v for k, v in query.chosen.items() if k != "state"})
        where, chosen = _conditions(query)
        return sql.replace("...", f"FROM listed WHERE {where}"), chosen

    def _who(self, kind: str) -> dict[str, Any]:
        sample = None
        if self.reader.pass_no > 1:
            sample = resampled(self.catalogue, self.reader, kind, self.resample)
        return {"reader": self.reader.name, "pass_no": self.reader.pass_no, "kind": kind, "sample": sample}


_VALUES = {
    "state": "coalesce(decision, 'open')",
    "status": "status",
    "cohort": "cohort",
    "manufacturer": "vendor",
    "figure": "unnest(out)",
    "seen_by": "unnest(seen_by)",
}
_TESTS = {
    "status": "status = $status",
    "cohort": "cohort = $cohort",
    "manufacturer": "vendor = $manufacturer",
    "figure": "list_contains(out, $figure)",
    "seen_by": "list_contains(seen_by, $seen_by)",
}
_STATES = {
    "open": "decision IS NULL",
    "reviewed": "decision IS NOT NULL",
    "disputed": "is_disputed",
    **{said: f"decision = '{said}'" for said in ("accept", "reject", "unsure")},
}


def _conditions(query: Query) -> tuple[str, dict[str, Any]]:
    parts, values = ["TRUE"], {}
    for facet, value in query.chosen.items():
        if facet == "state":
            parts.append(_STATES.get(value, "FALSE"))
        else:
            parts.append(_TESTS[facet])
            values[facet] = value
    if query.text:
        parts.append("(contains(lower(scan_id), lower($text)) OR contains(lower(patient_id), lower($text)))")
        values["text"] = query.text
    return " AND ".join(parts), values


def resampled(catalogue: Catalogue, reader: Reader, kind: str, percent: float) -> list[str]:
    """Targets of the reader's first pass that the second looks at again.

    The first ``percent`` % in the order of a hash of reader and target, so that the draw can be repeated and
    differs between readers; what was read a second time already stays in.
    """
    first = catalogue.ask(
        f"WITH {_STANDING} SELECT target_id FROM standing WHERE reviewer = $reader AND pass_no = 1"
        " AND target_kind = $kind ORDER BY sha256($reader || '|' || target_id)",
        {"reader": reader.name, "kind": kind},
    )
    again = catalogue.ask(
        f"WITH {_STANDING} SELECT target_id FROM standing WHERE reviewer = $reader AND pass_no = $pass_no"
        " AND target_kind = $kind",
        {"reader": reader.name, "pass_no": reader.pass_no, "kind": kind},
    )
    drawn = [row["target_id"] for row in first][: math.ceil(len(first) * percent / 100)]
    return list(dict.fromkeys([*drawn, *(row["target_id"] for row in again)]))


def last_decision(catalogue: Catalogue, reader: Reader) -> list[Row]:
    """The reader's last decision of this pass that stands: one row a target it was about; may be empty."""
    return catalogue.ask(
        """
        WITH standing AS (
            SELECT q.* FROM qc_reviews q
            ANTI JOIN qc_reviews u ON u.undoes = q.reviewed_at AND u.target_kind = q.target_kind
                AND u.target_id = q.target_id AND u.reviewer = q.reviewer AND u.pass_no = q.pass_no
            WHERE q.undoes IS NULL AND q.reviewer = $reader AND q.pass_no = $pass_no
        )
        FROM standing WHERE reviewed_at = (SELECT max(reviewed_at) FROM standing)
        """,
        {"reader": reader.name, "pass_no": reader.pass_no},
    )


def decisions_on(catalogue: Catalogue, kind: str, target_id: str) -> list[Row]:
    """Every reviewer's standing decisions on one target, for the adjudicator alone."""
    return catalogue.ask(
        f"WITH {_STANDING} SELECT reviewer, pass_no, decision, reason, comment FROM standing"
        " WHERE target_kind = $kind AND target_id = $target_id ORDER BY pass_no, reviewer",
        {"kind": kind, "target_id": target_id},
    )


FIGURE_NAMES = {figure.column: figure.name for figure in ALL_FIGURES}
