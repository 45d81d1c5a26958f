"""Only unchanged files inside the study's folders are ever read."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.errors import InputError
from la_outcomes.registry.study_files import StudyFiles
from la_outcomes.shards import sha256_file


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "results" / "shards").mkdir(parents=True)
    (folder / "results" / "masks").mkdir()
    (folder / "results" / "masks" / "a.nii.gz").write_bytes(b"mask")
    (folder / "scans").mkdir()
    (folder / "scans" / "ct.nii.gz").write_bytes(b"scan")
    (tmp_path / "secret.nii.gz").write_bytes(b"secret")
    return folder


def test_a_mask_is_found_below_its_commands_folder(study: Path) -> None:
    digest = sha256_file(study / "results/masks/a.nii.gz")
    assert StudyFiles([study]).written("masks/a.nii.gz", digest, "mask").read_bytes() == b"mask"


def test_another_content_under_its_name_is_refused(study: Path) -> None:
    with pytest.raises(InputError, match="changed after it was recorded"):
        StudyFiles([study]).written("masks/a.nii.gz", "0" * 64, "mask")


@pytest.mark.parametrize(
    "path", ["../secret.nii.gz", "/etc/passwd", "masks/../../../secret.nii.gz", "shards"]
)
def test_no_way_out_by_a_recorded_path(study: Path, path: str) -> None:
    with pytest.raises(InputError) as refused:
        StudyFiles([study]).written(path, None, "mask")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("path", ["../secret.nii.gz", "/etc/hostname", "secret.nii.gz"])
def test_no_way_out_by_a_scans_path(study: Path, path: str) -> None:
    with pytest.raises(InputError, match="in none of the study's folders"):
        StudyFiles([study]).scan(path, None, "CT")
    with pytest.raises(InputError, match="in none of the study's folders"):
        StudyFiles([study]).scan(str(study.parent / "secret.nii.gz"), None, "CT")


def test_no_way_out_by_a_link(study: Path) -> None:
    (study / "results/masks/link.nii.gz").symlink_to(study.parent / "secret.nii.gz")
    with pytest.raises(InputError, match="in none of the study's folders"):
        StudyFiles([study]).written("masks/link.nii.gz", None, "mask")


def test_files_that_are_no_images_are_not_read(study: Path) -> None:
    (study / "results/masks/notes.txt").write_text("notes")
    with pytest.raises(InputError):
        StudyFiles([study]).written("masks/notes.txt", None, "mask")


def test_a_moved_study_is_found_by_the_ends_of_its_paths_and_the_content(study: Path) -> None:
    files, digest = StudyFiles([study]), sha256_file(study / "scans/ct.nii.gz")
    assert (
        files.scan("/old/place/study/scans/ct.nii.gz", digest, "CT") == (study / "scans/ct.nii.gz").resolve()
    )
    with pytest.raises(InputError):
        files.scan("/old/place/study/scans/ct.nii.gz", None, "CT")


def test_a_folder_written_after_the_start_is_found(study: Path) -> None:
    files = StudyFiles([study])
    (study / "later" / "shards").mkdir(parents=True)
    (study / "later" / "b.nii").write_bytes(b"b")
    assert files.written("b.nii", None, "mask").name == "b.nii"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        StudyFiles([tmp_path / "nowhere"])
