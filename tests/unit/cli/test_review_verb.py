"""What ``la-outcomes review`` refuses before it serves anything; training without rejected labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.cli.main import run
from la_outcomes.execution.jobs import is_loopback
from la_outcomes.registry.database import open_for_writing


@pytest.fixture
def registry(tmp_path: Path) -> str:
    path = tmp_path / "study.duckdb"
    with open_for_writing(path):
        pass
    return str(path)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--host", "0.0.0.0"], 2, "token for each reviewer, and TLS"),
        (["--host", "192.0.2.7", "--tokens", "T"], 2, "token for each reviewer, and TLS"),
        (["--host", "reviews.example", "--certfile", "C", "--keyfile", "C"], 2, "token for each reviewer"),
        (["--certfile", "C"], 2, "both --certfile and --keyfile"),
        (["--certfile", "C", "--keyfile", "nowhere"], 3, "no such file"),
        (["--second-pass", "0"], 2, "percent"),
        (["--second-pass", "101"], 2, "percent"),
        (["--adjudicator", "Anna Müller"], 2, "pseudonym"),
        (["--folder", "nowhere"], 3, "no such folder"),
        (["--tokens", "nowhere"], 3, "no such file of tokens"),
        (["--reference", "nowhere"], 3, "no such folder or table"),
        (["--host", "192.0.2.7", "--tokens", "T", "--certfile", "C", "--keyfile", "C"], 2, "cannot be used"),
    ],
)
def test_refused(
    registry: str, options: list[str], code: int, told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C").write_text("no certificate is read before the address is bound")
    (tmp_path / "T").write_text("anna 0123456789abcdef")
    (tmp_path / "T").chmod(0o600)
    assert run(["review", "--registry", registry, "--port", "0", *options]) == code
    assert told in capsys.readouterr().err


def test_without_a_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "--registry", str(tmp_path / "none.duckdb"), "--port", "0"]) == 3
    assert "there is no registry" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.0.2.7", False), ("localhost.example", False), ("", False)],
)  # fmt: skip
def test_loopback(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


def test_training_leaves_out_what_was_rejected(
    registry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``train --registry`` stops here for want of labels, after it has written which ones count."""
    with open_for_writing(registry) as connection:
        connection.execute("INSERT INTO patients (patient_id) VALUES ('p')")
        for name in ("kept", "rejected", "unseen"):
            for scan, kind in ((name, "CT"), (f"{name}-fl", "FLAIR")):
                connection.execute(
                    "INSERT INTO scans (scan_id, patient_id, modality) VALUES (?, 'p', ?)", [scan, kind]
                )
            connection.execute("INSERT INTO pairs VALUES (?, ?, NULL)", [name, f"{name}-fl"])
            connection.execute(
                "INSERT INTO pseudo_labels (ct_scan_id, flair_scan_id, parameters_sha256, label_volume_ml,"
                " status, reason) VALUES (?, ?, 'x', 1, ?, 'figure')",
                [name, f"{name}-fl", "review" if name == "unseen" else "accepted"],
            )
        connection.execute(
            "INSERT INTO qc_reviews (target_kind, target_id, reviewer, pass_no, reviewed_at, decision,"
            " reason) VALUES ('pseudo_label', 'rejected|rejected-fl|x', 'a', 1, '2026-01-01', 'reject',"
            " 'off')"
        )
    labels = tmp_path / "labels"
    labels.mkdir()
    rows = [
        f"{name},p,training,ct.nii.gz,l.nii.gz,accepted" for name in ("kept", "rejected", "unseen", "other")
    ]
    (labels / "labels.csv").write_text(
        "\n".join(["ct_scan_id,patient_id,cohort,ct_path,label_path,status", *rows])
    )
    arguments = ["train", str(labels), "--out", str(tmp_path / "model"), "--registry", registry, "--smoke"]
    assert run(arguments) == 3
    assert (tmp_path / "model.accepted.csv").read_text().split() == ["ct_scan_id", "kept"]
    assert run([*arguments, "--accepted", "x.csv"]) == 2
    assert "do not go together" in capsys.readouterr().err
