"""Why the registry is not encrypted: to write such a file DuckDB needs an extension from the network."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest


def test_writing_an_encrypted_file_needs_a_download(tmp_path: Path) -> None:
    """Fails once DuckDB can do it offline: then encryption at rest is to be built (docs/registry.md)."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(f"SET extension_directory = '{tmp_path / 'none'}'")
        with pytest.raises(duckdb.Error, match="httpfs"):
            connection.execute(f"ATTACH '{tmp_path / 'e.duckdb'}' AS e (ENCRYPTION_KEY 'secret')")
