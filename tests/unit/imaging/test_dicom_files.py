"""Archives as they are handed over: zips, DICOMDIRs, and what hostile ones must not do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicom_writer import write_series
from pydicom import DataElement, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.imaging import dicom_files
from la_outcomes.imaging.dicom_choice import judge
from la_outcomes.imaging.dicom_files import open_archive
from la_outcomes.imaging.dicom_series import find_series

EVEN = np.arange(36) * 5.0 - 90


def write_dicomdir(folder: Path, names: list[list[str]]) -> Path:
    directory = Dataset()
    directory.FileSetID = ""
    directory.DirectoryRecordSequence = []
    for name in names:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = name
        directory.DirectoryRecordSequence.append(record)
    directory.SOPClassUID, directory.SOPInstanceUID = MediaStorageDirectoryStorage, "1.2.3"
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return target


def test_a_zip_is_converted_and_nothing_of_it_stays(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "a", EVEN)
    archive, out = zipped(tmp_path / "in", tmp_path / "export.zip"), tmp_path / "out"
    assert run(["convert", str(archive), "--out", str(out)]) == 0
    assert len(list(out.glob("*.nii.gz"))) == 1
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_zips_in_a_folder_are_opened_too(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "a", EVEN[:3])
    (tmp_path / "all").mkdir()
    zipped(tmp_path / "in", tmp_path / "all" / "one.zip")
    (tmp_path / "all" / "bad.zip").write_bytes(b"PK\x03\x04 and no more")
    found = find_series(tmp_path / "all")
    assert [series.n_images for series in found.series] == [3]
    assert "left out" in found.notes[0]


def test_a_dicomdir_gives_the_files_it_lists(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "set" / "IMAGES", EVEN[:4])
    write_series(tmp_path / "elsewhere", EVEN[:2])
    names = [["IMAGES", path.name] for path in paths[:3]]
    hostile = [["..", "elsewhere", "IM0001"], [str(tmp_path / "elsewhere" / "IM0002")], ["IMAGES", "NONE"]]
    (tmp_path / "set" / "IMAGES" / "LINK").symlink_to(tmp_path / "elsewhere" / "IM0001")
    directory = write_dicomdir(tmp_path / "set", [*names, *hostile, ["IMAGES", "LINK"], ["a\\..\\..\\b"]])
    found = find_series(directory)
    assert [series.n_images for series in found.series] == [3]
    assert found.notes == (
        "1 files that the DICOMDIR lists are missing",
        "4 files that the DICOMDIR lists lie outside its folder and were not read",
    )


def test_a_name_that_is_a_sequence_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"no DICOM")
    path = write_dicomdir(tmp_path, [["one"], ["two"]])
    directory = dcmread(path)
    strange = directory.DirectoryRecordSequence[1]
    strange[0x00041500] = DataElement(0x00041500, "SQ", [Dataset()])
    directory.save_as(path)
    with open_archive(path) as opened:
        assert [file.name for file in opened.files] == ["one"]


def test_a_member_without_a_name_is_read_like_others(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("NAMELESS", b"no DICOM")
        packed.writestr("folder/", b"")
    archive.write_bytes(archive.read_bytes().replace(b"NAMELESS", bytes(8)))
    with open_archive(archive, tmp_path) as opened:
        assert [path.read_bytes() for path in opened.files] == [b"no DICOM"]


def test_names_in_a_zip_write_nowhere(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path / "in", EVEN[:1])
    archive = tmp_path / "deep" / "x.zip"
    archive.parent.mkdir()
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("../../escaped", "/absolute", "C:\\drive", "a" * 300):
            packed.write(path, name)
        packed.writestr(link, "/etc")
    before = set(tmp_path.rglob("*"))
    with open_archive(archive, tmp_path / "scratch") as opened:
        assert len(opened.files) == 4
        assert all(file.is_relative_to(tmp_path / "scratch") for file in opened.files)
    assert set(tmp_path.rglob("*")) == before | {tmp_path / "scratch"}


def test_bombs_locks_and_damage_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_files, "RATIO_COUNTS_FROM", 1 << 20)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(4 << 20))
    (tmp_path / "cut.zip").write_bytes(bomb.read_bytes()[:2000])
    locked = bytearray(bomb.read_bytes())
    for start in (locked.find(b"PK\x03\x04") + 6, locked.find(b"PK\x01\x02") + 8):
        locked[start] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    for name, why in (("bomb", "200 times"), ("cut", "damaged"), ("locked", "password")):
        with pytest.raises(InputError, match=why), open_archive(tmp_path / f"{name}.zip", tmp_path):
            pass
    assert not list(tmp_path.glob(".unpacked*"))


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="neither"), open_archive(tmp_path / "a.txt"):
        pass
    with pytest.raises(InputError, match="no such"), open_archive(tmp_path / "b"):
        pass


def test_a_localiser_within_a_series_is_left_out_whatever_comes_first(tmp_path: Path) -> None:
    write_series(tmp_path / "b", EVEN, fields={"SeriesInstanceUID": "1.2.9"})
    scout = {"SeriesInstanceUID": "1.2.9", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_series(tmp_path / "a", EVEN[:1], fields=scout)
    (series,) = find_series(tmp_path).series
    assert (series.n_localisers, len(series.slices)) == (1, 36)
    assert judge(series).reason is None
