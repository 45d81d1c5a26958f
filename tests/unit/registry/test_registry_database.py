"""One writer, readers who never wait, errors that name who holds the registry and the way back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from registry_shards import measurement_rows, put, run_at

from la_outcomes.cli.main import run as run_command
from la_outcomes.errors import InputError, RegistryLockedError, UsageError
from la_outcomes.registry.database import open_for_writing, open_read_only
from la_outcomes.registry.files import same_state, snapshot_path
from la_outcomes.registry.ingest import ingest, rebuild
from la_outcomes.registry.query import ask

HOLD = """
import sys
from la_outcomes.registry.database import open_for_writing
with open_for_writing(sys.argv[1]) as connection:
    connection.execute("INSERT INTO patients (patient_id) VALUES ('not yet committed to readers')")
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held(registry: Path):  # type: ignore[no-untyped-def]
    with open_for_writing(registry):
        pass
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(registry)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.stdin.write("\n")
    process.stdin.flush()
    process.wait(timeout=30)


def test_a_second_writer_is_told_who_holds_it(
    registry: Path, held: subprocess.Popen[str], tmp_path: Path
) -> None:
    put(tmp_path, "one", measurement_rows(run_at(1)))
    for attempt in (ingest, rebuild):
        with pytest.raises(RegistryLockedError, match=str(held.pid)) as raised:
            attempt([tmp_path], registry)
        assert raised.value.exit_code == 6


def test_readers_read_the_snapshot_while_somebody_writes(registry: Path, held: subprocess.Popen[str]) -> None:
    with open_read_only(registry) as connection:
        assert connection.execute("SELECT count(*) FROM patients").fetchall() == [(0,)]


def test_what_a_dead_writer_committed_is_read(registry: Path) -> None:
    with open_for_writing(registry):
        pass
    script = HOLD.replace("sys.stdin.readline()", "import os; os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", script, str(registry)], capture_output=True)
    assert not same_state(registry, snapshot_path(registry))
    with open_read_only(registry) as connection:
        assert connection.execute("SELECT count(*) FROM patients").fetchall() == [(1,)]


def test_a_reader_keeps_what_it_opened_while_a_new_snapshot_is_published(registry: Path) -> None:
    with open_for_writing(registry):
        pass
    with open_read_only(registry) as reader:
        with open_for_writing(registry) as writer:
            writer.execute("INSERT INTO patients (patient_id) VALUES ('p1')")
        assert reader.execute("SELECT count(*) FROM patients").fetchall() == [(0,)]
    with open_read_only(registry) as reader:
        assert reader.execute("SELECT count(*) FROM patients").fetchall() == [(1,)]


def test_nothing_is_copied_where_nothing_changed(registry: Path) -> None:
    with open_for_writing(registry):
        pass
    before = snapshot_path(registry).stat().st_ino
    with open_for_writing(registry):
        pass
    assert snapshot_path(registry).stat().st_ino == before


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO patients (patient_id) VALUES ('x')",
        "SELECT * FROM read_csv('{file}')",
        "COPY patients TO '{file}'",
        "ATTACH '{file}'",
        "SET enable_external_access = true",
        "SELECT * FROM nowhere",
        "INSTALL httpfs",
    ],
)
def test_a_query_writes_nothing_and_reaches_no_file(registry: Path, tmp_path: Path, sql: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n")
    with pytest.raises(UsageError), ask(registry, sql.format(file=file)) as answer:
        answer.fetchall()
    assert file.read_text() == "a\n1\n"


def test_no_registry_no_other_file_and_half_a_file_are_told_apart(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no registry"):
        open_read_only(tmp_path / "nowhere.duckdb")
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(InputError, match="no registry"), open_for_writing(tmp_path / "other.duckdb"):
        pass
    (tmp_path / "text.duckdb").write_text("no database at all " * 1000)
    with pytest.raises(InputError, match="cannot be read") as raised:
        open_read_only(tmp_path / "text.duckdb")
    assert "--rebuild" in str(raised.value)


VERBS = [
    ["status"],
    ["query", "SELECT sum(la_volume_ml) FROM la_measurements"],
    ["audit"],
    ["ingest", "{out}"],
]


@pytest.fixture
def filled(registry: Path, tmp_path: Path) -> Path:
    run = run_at(1)
    for i in range(300):
        put(tmp_path / "out", f"p{i}", measurement_rows(run, f"p{i}", f"p{i}-ct", float(i)))
    ingest([tmp_path / "out"], registry)
    snapshot_path(registry).unlink()
    return registry


@pytest.mark.parametrize("part", [0.9, 0.5, 0.2])
def test_half_a_registry_is_found_by_every_verb_and_rebuilt(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: float
) -> None:
    """DuckDB opens a file that was cut short, and an ingest of known shards would read nothing lost."""
    with open_read_only(filled) as connection:
        before = connection.execute("FROM analysis_cohort ORDER BY patient_id").fetchall()
    whole = filled.read_bytes()
    filled.write_bytes(whole[: int(len(whole) * part)])
    for verb in VERBS:
        command = [word.format(out=tmp_path / "out") for word in verb]
        assert run_command([*command, "--registry", str(filled)]) == 3, verb
        assert "ingest DIR --rebuild" in capsys.readouterr().err
    assert rebuild([tmp_path / "out"], filled).n_taken == 300
    with open_read_only(filled) as connection:
        assert connection.execute("FROM analysis_cohort ORDER BY patient_id").fetchall() == before


def test_a_flipped_byte_is_found_where_it_is_read(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block has a checksum: a flipped byte is an error of the verb that reads it, never a value."""
    whole = filled.read_bytes()
    found = 0
    for block in range(3 * 4096, len(whole), 3 * 262_144):
        content = bytearray(whole)
        content[block + 100] ^= 1
        filled.write_bytes(content)
        code = run_command(["query", "FROM analysis_cohort ORDER BY ALL", "--registry", str(filled), "--csv"])
        told = capsys.readouterr()
        assert code == 0 or (code == 3 and "ingest DIR --rebuild" in told.err)
        found += code == 3
    assert found > 0


def test_the_command_line_tells_who_holds_the_registry(
    registry: Path, held: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "one", measurement_rows(run_at(1)))
    assert run_command(["ingest", str(tmp_path), "--registry", str(registry)]) == 6
    assert f"held by process {held.pid}" in capsys.readouterr().err


def test_a_failed_block_publishes_nothing(registry: Path) -> None:
    with open_for_writing(registry):
        pass
    stamp = os.stat(snapshot_path(registry)).st_mtime_ns
    with pytest.raises(duckdb.ConstraintException), open_for_writing(registry) as connection:
        connection.execute("INSERT INTO patients (patient_id) VALUES ('p1'), ('p1')")
    assert os.stat(snapshot_path(registry)).st_mtime_ns == stamp
