"""The tool a WMH mask comes from: its name, version and licence, and how to run it where we are to."""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from la_outcomes.errors import InputError, UsageError

PLACEHOLDERS = ("flair", "t1", "folder", "out")
GRIDS = ("flair", "own")
_RECIPES = "la_outcomes.segmentation.labels.recipes"
_REQUIRED = ("name", "version", "licence")


@dataclass(frozen=True)
class WmhTool:
    """A tool as its YAML file tells it.

    ``name``, ``version``, ``licence`` go into the record. ``command`` is split like a shell's line but run
    without a shell; ``{flair}`` and ``{t1}`` stand for input files, ``{folder}`` for an empty folder of the
    pair's own and ``{out}`` for ``{folder}/wmh.nii.gz``. ``output`` is where the tool leaves its map;
    ``labels`` are the values that are WMH where it is a label map (empty: shares 0..1, or ``scale``
    brings them there). ``grid``: "flair" where the map must lie on the FLAIR's own grid, "own" where the
    tool resamples within the same space.
    """

    name: str
    version: str
    licence: str
    command: str | None = None
    output: str = "{out}"
    labels: tuple[int, ...] = ()
    grid: str = "flair"
    time_limit_minutes: float = 60.0
    needs: str = ""
    source: str = ""
    notes: str = field(default="", compare=False)

    @property
    def needs_t1(self) -> bool:
        """True where the command names a T1."""
        return self.command is not None and "{t1}" in self.command

    def record(self) -> dict[str, Any]:
        """What identifies a run of the tool; part of the parameters."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("notes", "needs", "source")
        }

    def arguments(self, places: Mapping[str, Path | None]) -> list[str]:
        """The command's arguments with the placeholders filled in."""
        values = {name: "" if path is None else str(path) for name, path in places.items()}
        return [part.format(**values) for part in shlex.split(self.command or "")]


def recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files(_RECIPES)
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def read_tool(name_or_path: str) -> WmhTool:
    """A recipe of the package by its name, or a YAML file of the same form.

    Raises ``UsageError`` where there is neither, ``InputError`` for unknown or missing keys, values of
    the wrong kind and unknown placeholders.
    """
    if name_or_path in recipes():
        text = resources.files(_RECIPES).joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text(encoding="utf-8")
    else:
        raise UsageError(
            f"there is no WMH tool {name_or_path!r}", hint=f"a YAML file, or one of {', '.join(recipes())}"
        )
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError("the tool's description is no YAML", where=name_or_path) from error
    return _tool(values, name_or_path)


def _tool(values: object, where: str) -> WmhTool:
    if not isinstance(values, dict):
        raise InputError("the tool's description is no table of keys and values", where=where)
    unknown = sorted(set(values) - set(WmhTool.__dataclass_fields__))
    missing = [name for name in _REQUIRED if not str(values.get(name) or "").strip()]
    if unknown or missing:
        said = [f"unknown: {', '.join(unknown)}"] if unknown else []
        said += [f"missing: {', '.join(missing)}"] if missing else []
        hint = f"keys: {', '.join(WmhTool.__dataclass_fields__)}"
        raise InputError(f"the tool's description cannot be used ({'; '.join(said)})", where=where, hint=hint)
    try:
        labels = tuple(int(value) for value in values.get("labels", ()))
        limit = float(values.get("time_limit_minutes", 60.0))
    except (TypeError, ValueError) as error:
        raise InputError("labels must be whole numbers, time_limit_minutes a number", where=where) from error
    texts = {name: str(values[name]) for name in values if name not in ("labels", "time_limit_minutes")}
    tool = WmhTool(**texts, labels=labels, time_limit_minutes=limit)
    _check(tool, where)
    return tool


def _check(tool: WmhTool, where: str) -> None:
    if tool.grid not in GRIDS:
        raise InputError(f"grid is {tool.grid!r}", where=where, hint=f"one of: {', '.join(GRIDS)}")
    if not 0 < tool.time_limit_minutes < 7 * 24 * 60:
        raise InputError(f"the time limit is {tool.time_limit_minutes:g} minutes", where=where)
    for text in filter(None, (tool.command, tool.output)):
        try:
            shlex.split(text)
            used = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise InputError("quotes or braces in the command are not closed", where=where) from error
        if used - set(PLACEHOLDERS):
            wrong = ", ".join(sorted(used - set(PLACEHOLDERS)))
            hint = "known: " + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS) + "; write {{ for a brace"
            raise InputError(f"unknown placeholder: {wrong}", where=where, hint=hint)
