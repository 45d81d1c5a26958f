"""``fetch`` and ``send`` against a PACS on loopback: what comes, what is left, what is never said."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_writer import SECRETS, write_series
from results_study import build_study
from small_pacs import SmallPacs, running_pacs

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError, UsageError
from la_outcomes.exchange.fetch import read_list
from la_outcomes.exchange.pacs import Peer
from la_outcomes.imaging.pseudonyms import Pseudonyms

EVEN = np.arange(4) * 5.0
KEY = Pseudonyms(bytes(32))


@pytest.fixture
def pacs() -> Iterator[SmallPacs]:
    with running_pacs() as running:
        yield running


def fill(pacs: SmallPacs, folder: Path, n_studies: int = 2) -> list[str]:
    uids = []
    for number in range(n_studies):
        study = {"StudyInstanceUID": f"1.2.3.{number}", "AccessionNumber": f"ACC{number}"}
        paths = write_series(folder / f"{number}ct", EVEN, fields=study)
        paths += write_series(folder / f"{number}us", EVEN[:1], fields={**study, "Modality": "US"})
        pacs.take([pydicom.dcmread(path) for path in paths])
        uids.append(study["StudyInstanceUID"])
    return uids


def listed(folder: Path, values: list[str], column: str = "StudyInstanceUID") -> Path:
    path = folder / "list.csv"
    path.write_text(column + "\n" + "\n".join(values) + "\n")
    return path


def fetch(pacs: SmallPacs, studies: Path, out: Path, *more: str) -> int:
    peer = ["--host", "127.0.0.1", "--port", str(pacs.port), "--called", "SMALLPACS", "--pause", "0"]
    return run(["fetch", str(studies), "--out", str(out), *peer, *more])


@pytest.mark.parametrize("column", ["StudyInstanceUID", "AccessionNumber"])
def test_listed_studies_come_and_others_do_not(
    pacs: SmallPacs, tmp_path: Path, capfd: pytest.CaptureFixture[str], column: str
) -> None:
    fill(pacs, tmp_path / "src", 3)
    values = ["1.2.3.0", "1.2.3.2"] if column == "StudyInstanceUID" else ["ACC0", "ACC2"]
    out = tmp_path / "out"
    assert fetch(pacs, listed(tmp_path, [*values, values[0]], column), out) == 0
    got = [pydicom.dcmread(path) for path in out.rglob("*.dcm")]
    assert sorted(one.StudyInstanceUID for one in got) == ["1.2.3.0"] * 4 + ["1.2.3.2"] * 4
    assert {one.Modality for one in got} == {"CT"}
    for one in got:
        original = pacs.images[one.SOPInstanceUID]
        assert one == original
    said = "".join(capfd.readouterr()) + " ".join(str(path.relative_to(out)) for path in out.rglob("*"))
    secrets = [*values, *SECRETS.values(), *(one.SOPInstanceUID for one in got)]
    assert not [value for value in secrets if str(value) in said]


def test_it_goes_on_where_it_was_broken_off(pacs: SmallPacs, tmp_path: Path) -> None:
    studies, out = listed(tmp_path, fill(pacs, tmp_path / "src")), tmp_path / "out"
    pacs.drop_after = 2
    assert fetch(pacs, studies, out) == 4
    assert len(list(out.rglob("complete.json"))) == 1
    assert fetch(pacs, studies, out) == 0
    assert len(list(out.rglob("*.dcm"))) == 8
    before = pacs.n_gets
    assert fetch(pacs, studies, out) == 0
    assert pacs.n_gets == before
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_it_is_gentle(pacs: SmallPacs, tmp_path: Path) -> None:
    studies = listed(tmp_path, fill(pacs, tmp_path / "src"))
    started = time.monotonic()
    assert fetch(pacs, studies, tmp_path / "out", "--mb-per-s", "0.1", "--pause", "0.5") == 0
    megabytes = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.dcm")) / 1e6
    assert time.monotonic() - started > 0.5 + 0.5 * megabytes / 0.1


def test_what_is_not_there_is_said_and_does_not_stop_the_rest(
    pacs: SmallPacs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(pacs, tmp_path / "src")
    assert fetch(pacs, listed(tmp_path, ["9.9.9", "1.2.3.1"]), tmp_path / "out") == 4
    assert "has no such study" in capfd.readouterr().err
    assert len(list((tmp_path / "out").rglob("complete.json"))) == 1
    assert fetch(pacs, listed(tmp_path, ["1.2.3.1"]), tmp_path / "mr", "--modality", "MR") == 4
    assert "no MR series" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name\nx\n", "a column"),
        ("StudyInstanceUID\n", "rows"),
        ("StudyInstanceUID\n1.2.*\n", "line 2"),
        ("StudyInstanceUID\n1.2.3\nsecret name\n", "line 3"),
        ("AccessionNumber\nA?\n", "line 2"),
    ],
)
def test_lists_that_ask_for_anything_else_are_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=why) as error:
        read_list(path, KEY)
    assert "secret" not in str(error.value)


def test_peers_that_make_no_sense_and_peers_in_the_clear() -> None:
    for wrong in ({"port": 0}, {"called": ""}, {"called": "X" * 17}, {"host": "pacs.example"}):
        with pytest.raises(UsageError):
            Peer(**{"host": "127.0.0.1", "port": 104, "called": "PACS", **wrong})
    assert Peer("pacs.example", 104, "PACS", insecure=True).tls() is None


def test_nobody_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running_pacs() as gone:
        pass
    assert fetch(gone, listed(tmp_path, ["1.2.3"]), tmp_path / "out") == 4
    assert "cannot be reached" in capfd.readouterr().err


def test_results_are_sent_once_and_arrive_unchanged(pacs: SmallPacs, tmp_path: Path) -> None:
    study, out = build_study(tmp_path), tmp_path / "dicom"
    command = ["export", "--format", "dicom", "--registry", str(study.registry), "--out", str(out)]
    assert run([*command, "--dicom", str(study.archive), "--folder", str(study.results)]) == 0
    peer = ["--host", "127.0.0.1", "--port", str(pacs.port), "--called", "SMALLPACS"]
    pacs.refuse_with = 0xA700
    assert run(["send", str(out), *peer]) == 4
    pacs.refuse_with = None
    assert run(["send", str(out), *peer]) == 0
    originals = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, out.glob("*.dcm"))}
    assert {one.Modality for one in originals.values()} == {"SEG", "SR"}
    assert {uid: one.PixelData for uid, one in pacs.images.items() if one.Modality == "SEG"} == {
        uid: one.PixelData for uid, one in originals.items() if one.Modality == "SEG"
    }
    pacs.images.clear()
    assert run(["send", str(out), *peer]) == 0
    assert not pacs.images
    with open(out / "sent.csv", encoding="utf-8") as handle:
        assert len(list(csv.DictReader(handle))) == 2


def test_only_results_are_sent(pacs: SmallPacs, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (path,) = write_series(tmp_path, EVEN[:1])
    path.rename(tmp_path / "a.dcm")
    peer = ["--host", "127.0.0.1", "--port", str(pacs.port), "--called", "SMALLPACS"]
    assert run(["send", str(tmp_path), *peer]) == 4
    assert "neither a DICOM segmentation" in capfd.readouterr().err
    assert not pacs.images
