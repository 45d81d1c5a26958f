"""The pages as HTML: templates filled with what a reader may see."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from la_outcomes.analysis.names import cohort_label
from la_outcomes.review.case import gauges
from la_outcomes.review.catalogue import Row
from la_outcomes.review.desk import Desk
from la_outcomes.review.grades import SCORES, GradeQuery
from la_outcomes.review.reasons import LONGEST_COMMENT, REASONS, grade_labels, kind_name
from la_outcomes.review.sessions import Door, Session
from la_outcomes.review.worklist import FIGURE_NAMES, Query, decisions_on

WINDOWS_HU = {"brain": (40, 80), "stroke": (35, 30), "bone": (500, 2000)}
WINDOW_KEYS = {"brain": "b", "stroke": "s", "bone": "o"}
FLAIR_WINDOW = (1900, 3800)
OUTLINES = {"prediction": "#ff6b6b", "label": "#ffc145", "reference": "#4cc9f0"}
_FACET_NAMES = {
    "state": "Your review",
    "status": "Status",
    "cohort": "Cohort",
    "manufacturer": "Vendor",
    "figure": "Outside threshold",
    "seen_by": "Looked at by",
    "modality": "Modality",
}
_STATE_NAMES = {
    "open": "not yet reviewed",
    "reviewed": "reviewed",
    "accept": "accepted",
    "reject": "rejected",
    "unsure": "unsure",
    "disputed": "reviewers disagree",
    "graded": "graded",
}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("la_outcomes.review"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["said"] = _STATE_NAMES.__getitem__
    environment.filters["number"] = _number
    environment.filters["cohort"] = cohort_label
    environment.globals["kind_name"] = kind_name
    return environment


def _number(value: float | None, digits: int | None = None) -> str:
    """A number with as many digits as its size deserves, or a dash."""
    if value is None or value != value:
        return "–"
    if digits is None:
        digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def _page(name: str, values: dict[str, Any], status: int = 200) -> Response:
    return HTMLResponse(_environment().get_template(name).render(values), status)


def problem(text: str, status: int) -> Response:
    """A page that says what is wrong."""
    return _page("problem.html.j2", {"text": text, "session": None}, status)


def enter(door: Door, key: str, error: str | None = None) -> Response:
    """The form where a reader says who they are."""
    values = {"has_tokens": door.tokens is not None, "key": key, "error": error, "pass_no": door.pass_no}
    return _page("enter.html.j2", {"session": None, **values}, 200 if error is None else 403)


def left(door: Door) -> Response:
    """After a session was ended."""
    return enter(door, "")


def worklist(session: Session, desk: Desk, query: Query) -> Response:
    """The work list with its filters."""
    page = desk.worklist.page(query)
    facets = [
        _facet(name, counts, page.query, page.query.chosen.get(name)) for name, counts in page.counts.items()
    ]
    values = {"page": page, "facets": facets, "figure_names": FIGURE_NAMES, "simulated": _simulated(desk)}
    return _page("list.html.j2", {"session": session, "home": "list", **values})


def _facet(
    name: str, counts: dict[str, int], query: Query | GradeQuery, chosen: str | None
) -> dict[str, Any]:
    """One filter: its values with counts and the address that chooses or lets go of each."""
    order = list(_STATE_NAMES) if name == "state" else list(counts)
    values = [value for value in order if counts.get(value) or value == chosen]
    if chosen is not None and chosen not in values:
        values.append(chosen)
    return {
        "name": name,
        "title": _FACET_NAMES[name],
        "values": [
            {
                "text": _value_name(name, value),
                "n": counts.get(value, 0),
                "is_chosen": value == chosen,
                "address": query.address(**{name: None if value == chosen else value}),
            }
            for value in values
        ],
    }


def _value_name(facet: str, value: str) -> str:
    names = {"state": _STATE_NAMES, "figure": FIGURE_NAMES}.get(facet, {})
    return cohort_label(value) if facet == "cohort" else names.get(value, value)


def case(session: Session, desk: Desk, item: Row, query: Query) -> Response:
    """One label or segmentation with its images, figures and the decision to make."""
    study = desk.study
    before, following = desk.worklist.neighbours(query, item)
    others = decisions_on(study.catalogue, item["kind"], item["target_id"])
    related = study.related(item)
    values = {
        "item": item,
        "scan": study.scan(item["scan_id"]),
        "gauges": gauges(item),
        "related": related,
        "other_scans": study.other_scans(item),
        "reasons": REASONS[item["kind"]],
        "longest_comment": LONGEST_COMMENT,
        "others": [row for row in others if row["reviewer"] != session.reader.name]
        if session.reader.is_adjudicator
        else [],
        "query": query.address(),
        "before": before,
        "following": following,
        "viewer": _viewer(
            "case", item["ref"], following, has_flair=any(r["transform_path"] for r in related)
        ),
    }
    return _page("case.html.j2", {"session": session, **values})


def gradelist(session: Session, desk: Desk, query: GradeQuery) -> Response:
    """Scans to grade, in the reader's own order."""
    page = desk.gradelist.page(query)
    facets = [
        _facet(name, counts, page.query, page.query.chosen.get(name)) for name, counts in page.counts.items()
    ]
    values = {"page": page, "facets": facets, "simulated": _simulated(desk)}
    return _page("grades.html.j2", {"session": session, "home": "grades", **values})


def grade(session: Session, desk: Desk, scan: Row, query: GradeQuery) -> Response:
    """One scan to grade; neither masks nor volumes nor quality figures are on the page."""
    before, following = desk.gradelist.neighbours(query, scan)
    titles = ("Periventricular", "Deep white matter")
    scores = [
        {"column": column, "title": title, "labels": grade_labels(column), "given": scan[column]}
        for column, title in zip(SCORES, titles, strict=True)
    ]
    values = {"scan": scan, "scores": scores, "query": query.address(), "before": before}
    viewer = _viewer("scan", scan["ref"], following, has_flair=False)
    viewer |= {"unit": "HU" if scan["modality"] == "CT" else "FLAIR", "has_masks": False, "outlines": {}}
    shown = {"session": session, "following": following, "viewer": viewer}
    return _page("grade.html.j2", {**shown, **values})


def _viewer(what: str, ref: str, following: str | None, *, has_flair: bool) -> dict[str, Any]:
    """What the script must know; colours and windows stand here alone."""
    return {
        "what": what,
        "ref": ref,
        "next": following,
        "has_flair": has_flair,
        "has_masks": True,
        "unit": "HU",
        "windows": WINDOWS_HU,
        "window_keys": WINDOW_KEYS,
        "flair_window": FLAIR_WINDOW,
        "outlines": OUTLINES,
    }


def _simulated(desk: Desk) -> bool:
    found = desk.study.catalogue.ask("SELECT count(*) FILTER (is_simulated) AS n FROM scan", {})
    return bool(found[0]["n"])
