"""The reference of the Python package as Markdown, one page a room, read from the source, not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "la_outcomes"
SAYS = {
    "analysis": "Statistics, the cohort frame, tables and figures.",
    "registry": "The DuckDB registry: schema, ingest, imports, queries, freezing, withdrawal.",
    "segmentation": "Labels, training, bundles, inference, evaluation.",
    "pretraining": "How the models that come with the package are trained.",
    "exchange": "Results as hospitals and other studies read them: DICOM SEG and SR, PACS, BIDS.",
    "imaging": "Geometry, NIfTI, DICOM, input checks, pictures.",
    "simulation": "Patients and heads with known truth.",
    "reporting": "The report as page and PDF.",
    "review": "The review page.",
    "execution": "One function over many cases.",
    "dictionary": "The data dictionary as code.",
}
FOUNDATION = "foundation"
WIDTH = 100


@dataclass(frozen=True)
class Public:
    """A public function, class or method: where it is, how it is called, what its docstring says."""

    name: str
    arguments: tuple[str, ...] | None
    returns: str
    doc: str
    is_class: bool = False

    @property
    def summary(self) -> str:
        """First paragraph of the docstring on one line; empty where there is none."""
        return self.doc.split("\n\n")[0].replace("\n", " ")


def rooms() -> list[str]:
    """Packages with public modules, those that users import from first; commands have a page of their own."""
    found = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "cli")
    known = [room for room in SAYS if room in found]
    return known + [room for room in found if room not in known and _modules(room)]


def pages() -> dict[str, str]:
    """Markdown of each room by its name; what belongs to no room is the foundation's."""
    pages_of_rooms = {room: _page(room, SAYS.get(room, ""), _modules(room)) for room in rooms()}
    single = [path for path in sorted(PACKAGE.glob("*.py")) if not path.name.startswith("_")]
    return {**pages_of_rooms, FOUNDATION: _page(FOUNDATION, "What every room stands on.", single)}


def index() -> str:
    """The page that lists the rooms."""
    rows = [f"- [{room}]({room}.md) {SAYS.get(room, '')}".rstrip() for room in rooms()]
    rows.append(f"- [{FOUNDATION}]({FOUNDATION}.md) shards, provenance, bulk files, errors.")
    head = "# Python\n\nWritten from the docstrings; `help(FUNCTION)` in Python says the same."
    contents = ["```{toctree}", ":hidden:", "", *rooms(), FOUNDATION, "```", ""]
    return "\n".join([head, "", *rows, "", *contents])


def public_names() -> Iterator[tuple[str, Public]]:
    """Every public function, class and method of the package with its module's name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.name.startswith("_") and "cli" not in path.relative_to(PACKAGE).parts:
            for public in members(path):
                yield _dotted(path), public


@cache
def members(path: Path) -> list[Public]:
    """Public functions and classes of a module, each class followed by its public methods."""
    found: list[Public] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found.append(_function(node, node.name))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            found.append(Public(node.name, _fields(node), "", doc, is_class=True))
            found += [
                _function(method, f"{node.name}.{method.name}")
                for method in node.body
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_")
            ]
    return found


def _function(node: ast.FunctionDef, name: str) -> Public:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    is_value = bool(decorators & {"property", "cached_property"})
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return Public(
        name, None if is_value else tuple(_arguments(node.args)), returns, ast.get_docstring(node) or ""
    )


def _fields(node: ast.ClassDef) -> tuple[str, ...] | None:
    """What a class is made with: the fields of a dataclass, or the arguments of its constructor."""
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [ast.unparse(part) for part in node.body if isinstance(part, ast.AnnAssign)]
        return tuple(field for field in fields if not field.startswith("_"))
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return tuple(_arguments(part.args))
    return None


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    """The arguments one by one, as they are written in the signature."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = list(zip(positional, defaults, strict=True))
    if pairs and pairs[0][0].arg in ("self", "cls"):
        pairs = pairs[1:]
    yield from (_argument(argument, default) for argument, default in pairs)
    if arguments.vararg:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(argument, default)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default is not None else "")


def _modules(room: str) -> list[Path]:
    return sorted(p for p in (PACKAGE / room).rglob("*.py") if not p.name.startswith("_"))


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def _page(room: str, says: str, modules: list[Path]) -> str:
    sections = [section for path in modules if (section := _section(path))]
    return "\n".join([f"# la_outcomes: {room}", "", says, "", *sections])


def _section(path: Path) -> str:
    found = members(path)
    if not found:
        return ""
    about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return "\n".join([f"## {_dotted(path)}", "", about, "", *(_entry(public) for public in found)])


def _entry(public: Public) -> str:
    kind = "class " if public.is_class else ""
    lines = ["```python", f"{kind}{_folded(public)}", "```", "", public.summary, ""]
    if rest := public.doc.partition("\n\n")[2].strip():
        lines += ["<details><summary>More</summary>", "", "```text", rest, "```", "", "</details>", ""]
    return "\n".join([f"### {public.name}", "", *lines])


def _folded(public: Public) -> str:
    """How it is called, on one line where it fits, else an argument a line."""
    if public.arguments is None:
        return public.name + public.returns.replace(" -> ", ": ")
    line = f"{public.name}({', '.join(public.arguments)}){public.returns}"
    if len(line) <= WIDTH:
        return line
    return f"{public.name}(\n    " + ",\n    ".join(public.arguments) + f",\n){public.returns}"
