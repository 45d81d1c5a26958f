"""Audit of a registry: conformance, completeness, plausibility and rules that join tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import duckdb
import yaml

from la_outcomes.dictionary import Table, load_dictionary
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.rules import Rule, plausible_rules, quote, row_rules

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Question:
    """One thing the audit looks for; ``sql`` lists the rows it concerns."""

    kind: str
    name: str
    severity: Severity
    description: str
    sql: str


@dataclass(frozen=True)
class Finding:
    """A question and the number of rows it concerns."""

    question: Question
    count: int


def audit(registry: str | Path) -> list[Finding]:
    """Ask every question and return all answers, those with rows first, the gravest first.

    Raises ``InputError`` where there is no registry.
    """
    with open_read_only(registry) as connection:
        found = [Finding(question, _count(connection, question.sql)) for question in questions()]
    gravity = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda f: (f.count == 0, gravity[f.question.severity]))


def questions() -> list[Question]:
    """All questions: from the dictionary's rules for each table, and from ``audit_rules.yaml``."""
    tables = load_dictionary().tables.values()
    joined = yaml.safe_load(files("la_outcomes.registry").joinpath("audit_rules.yaml").read_text("utf-8"))
    return [
        *(Question(kind="across tables", **entry) for entry in joined),
        *(question for table in tables for question in _of_table(table)),
    ]


def _of_table(table: Table) -> Iterator[Question]:
    for rule in row_rules(table):
        yield _question(table, rule, "conformance", "error", f"breaks: {rule.description}")
    for rule in plausible_rules(table):
        yield _question(table, rule, "plausibility", "warning", f"not {rule.description}")
    if table.name in ("clinical", "outcomes"):
        for column in table.columns.values():
            if column.nullable and column.name not in ("superseded_by", "run_id"):
                rule = Rule("complete", column.name, f"{quote(column.name)} IS NOT NULL", "")
                yield _question(table, rule, "completeness", "note", "empty")


def _question(table: Table, rule: Rule, kind: str, severity: Severity, description: str) -> Question:
    shown = [*table.primary_key, *([rule.column] if rule.column not in (None, *table.primary_key) else [])]
    current = " AND superseded_by IS NULL" if "superseded_by" in table.columns else ""
    return Question(
        kind=kind,
        name=".".join(filter(None, (table.name, rule.column, rule.name))),
        severity=severity,
        description=description,
        sql=f"SELECT {', '.join(quote(str(name)) for name in shown)} FROM {quote(table.name)}"
        f" WHERE NOT ({rule.condition}){current}",
    )


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()[0][0])
