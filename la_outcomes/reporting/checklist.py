"""Checklists filled where the run knows the answer and marked open where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Formatter
from typing import Any

import yaml

NAMES = ("strobe", "claim", "stard_ai")
OPEN = "open: for the authors"


@dataclass(frozen=True)
class ChecklistItem:
    """One item: its number and topic, the answer in words, and ``filled``, ``partly`` or ``open``."""

    number: str
    topic: str
    answer: str
    state: str


@dataclass(frozen=True)
class Checklist:
    """A checklist as it is printed."""

    title: str
    items: list[ChecklistItem]

    @property
    def summary(self) -> str:
        """``20 of 34 items filled, 5 partly, 9 open``."""
        states = [item.state for item in self.items]
        filled, partly, is_open = (states.count(state) for state in ("filled", "partly", "open"))
        return f"{filled} of {len(states)} items filled, {partly} partly, {is_open} open"


def fill_checklists(facts: Mapping[str, Any], answered: Mapping[str, str]) -> list[Checklist]:
    """Fill every checklist.

    Parameters
    ----------
    facts : what a template may name (``{n_centres}``); None where the run does not know it: then the item
        is open.
    answered : title of each section that has an answer, by its script's number (``"07"``).
    """
    return [_fill(_read(name), facts, answered) for name in NAMES]


def _read(name: str) -> dict[str, Any]:
    text = resources.files("la_outcomes.reporting.checklists").joinpath(f"{name}.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


def _fill(raw: Mapping[str, Any], facts: Mapping[str, Any], answered: Mapping[str, str]) -> Checklist:
    return Checklist(raw["title"], [_item(item, facts, answered) for item in raw["items"]])


def _item(item: Mapping[str, Any], facts: Mapping[str, Any], answered: Mapping[str, str]) -> ChecklistItem:
    wanted: Sequence[str] = item.get("sections", ())
    found = [f"section “{answered[number]}”" for number in wanted if number in answered]
    known = _known(item.get("known"), facts)
    parts = [part for part in (known, f"See {', '.join(found)}." if found else "") if part]
    if not parts or (wanted and not found and known is None):
        return ChecklistItem(item["item"], item["topic"], OPEN, "open")
    is_partly = bool(item.get("partly")) or (bool(wanted) and not found)
    rest = "; the rest is open" if is_partly else ""
    answer = " ".join(parts).rstrip(".") + rest + "."
    return ChecklistItem(item["item"], item["topic"], answer, "partly" if is_partly else "filled")


def _known(template: str | None, facts: Mapping[str, Any]) -> str | None:
    """The template with its facts; None where there is none or one of them is not known."""
    if template is None:
        return None
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    if any(facts.get(name) in (None, "") for name in names):
        return None
    return template.format(**{name: facts[name] for name in names})
