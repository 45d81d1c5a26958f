"""The reference of the command line as Markdown, from the same Typer commands that run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from la_outcomes.cli.main import app

_HEAD = """# Command line

Written from the commands themselves; `la-outcomes --help` and `la-outcomes VERB --help` say the same.

What the exit codes mean: [architecture](../architecture.md#exit-codes).

{verbs}
"""


def page() -> str:
    """The whole page: the verbs, then each verb with its arguments and options."""
    commands = list(all_commands())
    verbs = ["| verb | what it does |", "|---|---|"]
    verbs += [f"| [`{name}`](#{anchor(name)}) | {_first_line(command)} |" for name, command in commands]
    head = _HEAD.format(verbs="\n".join(verbs))
    return "\n".join([head, *(_section(name, command) for name, command in commands)])


def all_commands() -> Iterator[tuple[str, Any]]:
    """Each verb with its command, verbs of groups as ``model show``."""
    group: Any = get_command(app)
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        members = getattr(command, "commands", None)
        if members is None:
            yield name, command
        for member, inner in (members or {}).items():
            yield f"{name} {member}", inner


def anchor(name: str) -> str:
    """Anchor of a verb's section."""
    return "la-outcomes-" + name.replace(" ", "-")


def parameters_of(command: Any) -> list[Any]:
    """Arguments, then options, of a command."""
    return sorted(command.params, key=lambda parameter: parameter.param_type_name)


def help_of(parameter: Any) -> str:
    """What is said of an argument or option; empty where nothing is."""
    return str(getattr(parameter, "help", None) or "")


def names_of(parameter: Any) -> str:
    """How an argument or option is written: ``--jobs``, ``--images / --no-images``, ``SCANS``."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return " / ".join([*parameter.opts, *parameter.secondary_opts])


def _first_line(command: Any) -> str:
    return (command.help or "").strip().split("\n\n")[0].replace("\n", " ")


def _section(name: str, command: Any) -> str:
    parameters = parameters_of(command)
    needed = [names_of(p) for p in parameters if p.param_type_name == "argument"]
    needed += [f"{p.opts[0]} {p.name.upper()}" for p in parameters if p.required and p.opts[0] != p.name]
    lines = [f"## la-outcomes {name}", "", "```text", " ".join(["la-outcomes", name, *needed, "[OPTIONS]"])]
    lines += ["```", "", (command.help or "").strip(), "", "| | what | default |", "|---|---|---|"]
    return "\n".join([*lines, *map(_row, parameters), ""])


def _row(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    told = help_of(parameter).replace("|", "\\|")
    if choices:
        told += f"; one of {', '.join(f'`{choice}`' for choice in choices)}"
    return f"| `{names_of(parameter)}` | {told} | {_default(parameter)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default in (None, False):
        return ""
    return "on" if parameter.default is True else f"`{parameter.default}`"
