"""Look for a pseudonym in what was not written by this package: reports, logs, other tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import duckdb

from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.rules import quote

_TEXT = (".csv", ".tsv", ".json", ".jsonl", ".html", ".txt", ".log", ".md", ".svg", ".yaml", ".yml", ".xml")
_BLOCK = 1 << 22


def leftovers(folders: Iterable[Path], ids: Collection[str]) -> list[Path]:
    """Files below the folders whose name or text still has one of the pseudonyms as a word of its own."""
    pattern = re.compile(_word(ids).encode())
    paths = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return sorted(
        path
        for path in paths
        if pattern.search(path.name.encode()) or (path.suffix in _TEXT and _mentions(path, pattern))
    )


def _word(ids: Collection[str]) -> str:
    names = "|".join(re.escape(name) for name in sorted(ids, key=len, reverse=True))
    return f"(?<![A-Za-z0-9])(?:{names})(?![A-Za-z0-9])"


def _mentions(path: Path, pattern: re.Pattern[bytes]) -> bool:
    return any(pattern.search(block) for block in _blocks(path))


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks that overlap by what a word can be long."""
    with open(path, "rb") as handle:
        tail = b""
        while block := handle.read(_BLOCK):
            yield tail + block
            tail = block[-512:]


def mentions_in_registry(registry: Path, ids: Collection[str]) -> dict[str, int]:
    """Rows of text columns, such as a run's parameters, that still name one of the pseudonyms."""
    pattern = re.compile(_word(ids))
    found: dict[str, int] = {}
    with open_read_only(registry) as connection:
        for table in load_dictionary().tables.values():
            for column in table.columns.values():
                if column.type == "text":
                    n = sum(
                        bool(pattern.search(text))
                        for text in _texts(connection, table.name, column.name, ids)
                    )
                    found |= {f"{table.name}.{column.name}": n} if n else {}
    return found


def _texts(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, ids: Collection[str]
) -> Iterator[str]:
    name = quote(column)
    rows = connection.execute(
        f"SELECT {name} FROM {quote(table)} WHERE len(list_filter(?, lambda i: contains({name}, i))) > 0",
        [list(ids)],
    )
    return (text for (text,) in rows.fetchall())
