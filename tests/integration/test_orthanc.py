"""The whole round against Orthanc: store, fetch, convert, measure, send, fetch back, compare.

Orthanc is Debian's package ``orthanc``; it runs on loopback in a temporary folder.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification
from results_study import build_study, drawn_mask

from la_outcomes.cli.main import run
from la_outcomes.exchange.measurement_report import read_report
from la_outcomes.exchange.segmentation_object import mask_from_slices, read_segmentation
from la_outcomes.imaging.dicom_series import find_series
from la_outcomes.imaging.nifti import read_image

ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
pytestmark = [
    pytest.mark.pacs,
    pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: apt-get install orthanc)"),
]


@dataclass(frozen=True)
class Running:
    """Where Orthanc listens."""

    port: int

    @property
    def options(self) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(self.port), "--called", "ORTHANC"]

    def answers(self) -> bool:
        entity = AE(ae_title="LA_OUTCOMES")
        entity.add_requested_context(Verification)
        association = entity.associate("127.0.0.1", self.port, ae_title="ORTHANC")
        if not association.is_established:
            return False
        association.release()
        return True


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    settings = {
        "Name": "tests", "StorageDirectory": str(folder / "images"), "IndexDirectory": str(folder / "index"),
        "DicomAet": "ORTHANC", "DicomPort": port, "HttpServerEnabled": False, "Plugins": [],
        "DicomCheckCalledAet": True, "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"tests": ["LA_OUTCOMES", "127.0.0.1", free_port()]},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log)
    running = Running(port)
    try:
        deadline = time.monotonic() + 60
        while not running.answers():
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail("Orthanc did not start:\n" + (folder / "log").read_text()[-2000:])
            time.sleep(0.2)
        yield running
    finally:
        server.terminate()
        server.wait(timeout=30)


def store(paths: list[Path], orthanc: Running) -> None:
    entity = AE(ae_title="LA_OUTCOMES")
    entity.add_requested_context(CTImageStorage)
    association = entity.associate("127.0.0.1", orthanc.port, ae_title="ORTHANC")
    for path in paths:
        assert association.send_c_store(pydicom.dcmread(path)).Status == 0
    association.release()


def test_scans_come_from_orthanc_and_results_go_back_and_come_again(orthanc: Running, tmp_path: Path) -> None:
    study = build_study(tmp_path / "home", tilt_deg=9)
    originals = sorted((study.archive / "a").iterdir())
    store(originals, orthanc)
    listed = tmp_path / "list.csv"
    listed.write_text("StudyInstanceUID\n1.2.840.1\n")
    fetched = tmp_path / "fetched"
    command = ["fetch", str(listed), *orthanc.options, "--pause", "0"]
    assert run([*command, "--out", str(fetched)]) == 0
    got = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, fetched.rglob("*.dcm"))}
    assert len(got) == len(originals)
    for path in originals:
        one = pydicom.dcmread(path)
        assert got[one.SOPInstanceUID].PixelData == one.PixelData
        assert got[one.SOPInstanceUID].ImagePositionPatient == one.ImagePositionPatient
    assert run([*command, "--out", str(fetched)]) == 0

    scans = tmp_path / "scans"
    assert run(["convert", str(fetched), "--out", str(scans)]) == 0
    (scan,) = scans.glob("*.nii.gz")
    assert [scan.name] == [path.name for path in study.scans.glob("*.nii.gz")]

    out = tmp_path / "results"
    export = ["export", "--format", "dicom", "--registry", str(study.registry), "--out", str(out)]
    assert run([*export, "--dicom", str(fetched), "--folder", str(study.results)]) == 0
    assert run(["send", str(out), *orthanc.options]) == 0

    back = tmp_path / "back"
    assert run([*command, "--out", str(back), "--modality", "SEG", "--modality", "SR"]) == 0
    kinds = {pydicom.dcmread(path).Modality: path for path in back.rglob("*.dcm")}
    assert set(kinds) == {"SEG", "SR"}
    pixels, uids = read_segmentation(kinds["SEG"])
    series = next(one for one in find_series(fetched).series if one.modality == "CT")
    by_uid = {pydicom.dcmread(one.path).SOPInstanceUID: one for one in series.slices}
    image = read_image(scan)
    returned = mask_from_slices(pixels, [by_uid[uid] for uid in uids], image)
    np.testing.assert_array_equal(returned.data, drawn_mask(image))
    said = read_report(kinds["SR"])
    assert said["volume"] == pytest.approx(drawn_mask(image).sum() * image.voxel_volume_ml, abs=1e-4)
    assert said["unit"] == "UCUM:mL"
