"""Result shards: one file a case, written whole or not at all, checked by hash when read.

A JSON shard is ``{"shard_version", "kind", "case_id", "case_key", "status", "rows", "content_sha256"}``;
``rows`` maps registry table names to lists of rows with the data dictionary's columns. Bulk rows come as
one Parquet file a table whose key-value metadata carry the same header.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from la_outcomes.errors import InputError, ResourceError

SHARD_VERSION = 1
FINAL_STATUSES = ("done", "not_measured", "failed_input")
TRANSIENT_STATUS = "failed_transient"
Rows = dict[str, list[dict[str, Any]]]


def sha256_file(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain, allow_nan=False)


def sha256_json(value: object) -> str:
    """Hexadecimal SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"cannot be written to a shard: {type(value).__name__}")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success fsync it and rename it into place.

    The suffix is kept, so that writers which look at it (NIfTI, PNG) work. Raises ``ResourceError``
    where the disk is full; the temporary file is removed on any failure.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (28, 122):
            raise ResourceError(
                "no space left on the disk", where=path, hint="free space and run the same command"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomic(path: str | Path, text: str) -> Path:
    """Write UTF-8 text whole or not at all; returns the path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def case_key(
    inputs_sha256: Mapping[str, str | None], model_sha256: str | None, parameters_sha256: str
) -> str:
    """Identity of a piece of work by content: its inputs, model and parameters."""
    return sha256_json([dict(inputs_sha256), model_sha256, parameters_sha256])


def write_shard(out_dir: str | Path, *, kind: str, case_id: str, key: str, status: str, rows: Rows) -> Path:
    """Write one case's shard to ``out_dir/shards`` and return its path.

    The name is ``<kind>-<first 16 of key>.json``: a rerun of the same work replaces the same file.
    """
    body = {
        "shard_version": SHARD_VERSION,
        "kind": kind,
        "case_id": case_id,
        "case_key": key,
        "status": status,
        "rows": rows,
    }
    body = json.loads(canonical_json(body))
    body["content_sha256"] = sha256_json(body)
    path = shard_path(out_dir, kind, key)
    return write_text_atomic(path, json.dumps(body, indent=1, sort_keys=True) + "\n")


def shard_path(out_dir: str | Path, kind: str, key: str) -> Path:
    """Where the shard of a piece of work lives."""
    return Path(out_dir) / "shards" / f"{kind}-{key[:16]}.json"


def read_shard(path: str | Path) -> dict[str, Any]:
    """Read a shard and check its hash; raises ``InputError`` where it is cut short or altered."""
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
        claimed = body.pop("content_sha256")
    except (ValueError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise InputError(
            "not a whole result shard", where=path, hint="delete it and run the case again"
        ) from error
    if sha256_json(body) != claimed:
        raise InputError(
            "a result shard was changed after it was written",
            where=path,
            hint="delete it and run the case again",
        )
    body["content_sha256"] = claimed
    return body


def is_done(out_dir: str | Path, kind: str, key: str) -> bool:
    """True where a whole shard with a final status exists for this work."""
    path = shard_path(out_dir, kind, key)
    if not path.exists():
        return False
    try:
        return read_shard(path)["status"] in FINAL_STATUSES
    except InputError:
        return False
