"""SEG and SR written from a registry, read back, and compared voxel by voxel and number by number."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from results_study import Study, build_study, drawn_mask

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.exchange.measurement_report import read_report
from la_outcomes.exchange.segmentation_object import mask_from_slices, mask_on_slices, read_segmentation
from la_outcomes.imaging.dicom_series import find_series
from la_outcomes.imaging.dicom_stack import plan_stack
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image
from la_outcomes.simulation.dicom_variants import enhanced


def exported(study: Study, out: Path) -> tuple[Path, Path]:
    command = ["export", "--format", "dicom", "--registry", str(study.registry), "--out", str(out)]
    assert run([*command, "--dicom", str(study.archive), "--folder", str(study.results)]) == 0
    (seg,), (sr,) = out.glob("*_seg.dcm"), out.glob("*_sr.dcm")
    return seg, sr


@pytest.fixture(scope="module", params=[0.0, 14.0], ids=["straight", "tilted"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build_study(tmp_path_factory.mktemp("study"), tilt_deg=request.param)


def test_the_segmentation_comes_back_voxel_by_voxel(study: Study, tmp_path: Path) -> None:
    seg, _ = exported(study, tmp_path)
    pixels, uids = read_segmentation(seg)
    files = {pydicom.dcmread(path).SOPInstanceUID: path for path in (study.archive / "a").iterdir()}
    (series,) = find_series(study.archive).series
    by_path = {one.path: one for one in series.slices}
    image = read_image(next(study.scans.glob("*.nii.gz")))
    back = mask_from_slices(pixels, [by_path[files[uid]] for uid in uids], image)
    np.testing.assert_array_equal(back.data, drawn_mask(image))
    header = pydicom.dcmread(seg)
    source = pydicom.dcmread(next((study.archive / "a").iterdir()))
    assert header.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert (header.PatientID, header.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    assert header.SeriesDescription.startswith("SIMULATED")
    (segment,) = header.SegmentSequence
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "drawn"


def test_the_report_gives_volume_unit_method_and_model(study: Study, tmp_path: Path) -> None:
    seg, sr = exported(study, tmp_path)
    said = read_report(sr)
    image = read_image(next(study.scans.glob("*.nii.gz")))
    assert said["volume"] == pytest.approx(drawn_mask(image).sum() * image.voxel_volume_ml, abs=1e-4)
    assert (said["unit"], said["algorithm"]) == ("UCUM:mL", "drawn")
    assert said["method"] == "Voxels of the mask times the voxel's volume"
    assert said["segmentation"] == pydicom.dcmread(seg).SOPInstanceUID
    assert pydicom.dcmread(sr).ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_writing_again_gives_the_same_objects(study: Study, tmp_path: Path) -> None:
    first, second = exported(study, tmp_path / "a"), exported(study, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert pydicom.dcmread(one).SOPInstanceUID == pydicom.dcmread(other).SOPInstanceUID


def test_an_enhanced_source_keeps_its_frames(tmp_path: Path) -> None:
    study = build_study(tmp_path / "plain")
    slices = [pydicom.dcmread(path) for path in sorted((study.archive / "a").iterdir())]
    shutil.rmtree(tmp_path / "plain")
    shuffled = [slices[index] for index in np.random.default_rng(0).permutation(len(slices))]
    whole = enhanced(shuffled)
    (tmp_path / "archive").mkdir()
    whole.save_as(tmp_path / "archive" / "one", enforce_file_format=True)
    (series,) = find_series(tmp_path / "archive").series
    stack = plan_stack(series.slices)
    image = Image(np.zeros((80, 92, 36), np.float32), np.diag([2.2, 2.4, 5.0, 1.0]))
    affine = stack.affine
    mask = Image(drawn_mask(Image(image.data, affine)), affine)
    pixels = mask_on_slices(mask, stack.slices)
    np.testing.assert_array_equal(pixels, mask.data.transpose(2, 1, 0))


def test_a_series_that_is_not_in_the_archive_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study, other = build_study(tmp_path / "one"), build_study(tmp_path / "two")
    command = ["export", "--format", "dicom", "--registry", str(study.registry), "--out", str(tmp_path / "x")]
    assert run([*command, "--dicom", str(other.archive), "--folder", str(study.results)]) == 4
    assert "not in the archive" in capfd.readouterr().err
    assert not list((tmp_path / "x").glob("*.dcm"))
    assert run(command) == 2


def test_headers_that_make_no_segmentation_are_an_error(tmp_path: Path) -> None:
    from la_outcomes.exchange.finding import Finding
    from la_outcomes.exchange.segmentation_object import segmentation_of

    study = build_study(tmp_path)
    (series,) = find_series(study.archive).series
    stack = plan_stack(series.slices)
    sources = [pydicom.dcmread(one.path, stop_before_pixels=True) for one in stack.slices]
    for source in sources:
        del source.FrameOfReferenceUID
    image = read_image(next(study.scans.glob("*.nii.gz")))
    finding = Finding("x", Image(drawn_mask(image), image.affine), 1.0, "m", "c" * 64, "d" * 64)
    with pytest.raises(InputError, match="lack"):
        segmentation_of(sources, stack.slices, finding)
