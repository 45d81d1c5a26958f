"""Compressed, deflated, multi-frame and odd pixels: the same values in the same places as plain ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_writer import write_series
from pydicom.uid import JPEG2000Lossless

from la_outcomes.errors import InputError
from la_outcomes.imaging import dicom_header
from la_outcomes.imaging.dicom_pixels import codestream_size, read_pixels
from la_outcomes.imaging.dicom_series import Series, find_series
from la_outcomes.imaging.dicom_stack import assemble, plan_stack
from la_outcomes.imaging.geometry import Image
from la_outcomes.simulation.dicom_variants import Compression, compressed, enhanced

EVEN = np.arange(5) * 5.0 - 10
KINDS: tuple[Compression, ...] = ("RLE", "JPEG lossless", "JPEG 2000", "JPEG-LS", "deflated")


def series_in(folder: Path) -> Series:
    (series,) = find_series(folder).series
    return series


def volume(folder: Path) -> Image:
    stack = plan_stack(series_in(folder).slices)
    return assemble(stack, [read_pixels(one, "CT") for one in stack.slices])


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("unsigned", [True, False])
def test_compression_changes_nothing(tmp_path: Path, how: Compression, unsigned: bool) -> None:
    paths = write_series(tmp_path / "plain", EVEN, unsigned=unsigned, tilt_deg=12)
    (tmp_path / "packed").mkdir()
    for path in paths:
        packed = compressed(pydicom.dcmread(path), how)
        packed.save_as(tmp_path / "packed" / path.name, enforce_file_format=True)
    plain, unpacked = volume(tmp_path / "plain"), volume(tmp_path / "packed")
    np.testing.assert_array_equal(plain.data, unpacked.data)
    np.testing.assert_array_equal(plain.affine, unpacked.affine)


@pytest.mark.parametrize("tilt", [0.0, 15.0])
def test_an_enhanced_object_is_its_frames(tmp_path: Path, tilt: float) -> None:
    paths = write_series(tmp_path / "plain", EVEN, tilt_deg=tilt, fields={"ConvolutionKernel": "H70h"})
    datasets = [pydicom.dcmread(path) for path in paths]
    datasets[2].RescaleIntercept = -1000
    datasets[2].save_as(paths[2])
    (tmp_path / "one").mkdir()
    shuffled = [datasets[index] for index in (3, 0, 4, 2, 1)]
    enhanced(shuffled).save_as(tmp_path / "one" / "file", enforce_file_format=True)
    series = series_in(tmp_path / "one")
    assert (series.n_images, series.text("ConvolutionKernel"), series.text("KVP")) == (5, "H70h", "120")
    plain, framed = volume(tmp_path / "plain"), volume(tmp_path / "one")
    np.testing.assert_array_equal(plain.data, framed.data)
    np.testing.assert_allclose(plain.affine, framed.affine, atol=1e-6)


def test_old_overlays_above_the_pixel_s_bits_are_taken_out(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path, EVEN[:1])
    one = pydicom.dcmread(path)
    values = one.pixel_array & 0x0FFF
    one.BitsStored, one.HighBit = 12, 11
    one.PixelData = (values | 0x4000).astype(np.uint16).tobytes()
    one.save_as(path)
    (found,) = series_in(tmp_path).slices
    np.testing.assert_array_equal(read_pixels(found, "MR"), values.T - 1024.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SamplesPerPixel", 3), ("BitsAllocated", 12), ("PixelData", bytes(500)), ("Columns", 4000)],
)
def test_pixels_that_cannot_be_trusted_are_refused(tmp_path: Path, name: str, value: object) -> None:
    (path,) = write_series(tmp_path, EVEN[:1])
    damaged = pydicom.dcmread(path)
    setattr(damaged, name, value)
    damaged.save_as(path)
    (found,) = series_in(tmp_path).slices
    with pytest.raises(InputError, match="decoded"):
        read_pixels(found, "CT")


def test_a_codestream_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path, EVEN[:1])
    packed = compressed(pydicom.dcmread(path), "JPEG 2000")
    assert packed.file_meta.TransferSyntaxUID == JPEG2000Lossless
    stream = bytearray(packed.PixelData)
    size = stream.find(b"\xff\x4f\xff\x51") + 8
    assert codestream_size(bytes(stream)) == (92, 80)
    stream[size : size + 8] = (60_000).to_bytes(4, "big") * 2
    packed.PixelData = bytes(stream)
    packed["PixelData"].VR, packed["PixelData"].is_undefined_length = "OB", True
    packed.save_as(path)
    (found,) = series_in(tmp_path).slices
    with pytest.raises(InputError, match="decoded"):
        read_pixels(found, "CT")


def test_a_deflated_bomb_is_no_dicom_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_series(tmp_path, EVEN[:1])
    packed = compressed(pydicom.dcmread(path), "deflated")
    packed.save_as(path, enforce_file_format=True)
    monkeypatch.setattr(dicom_header, "LARGEST_INFLATED", 1000)
    with pytest.raises(InputError, match="no DICOM images"):
        find_series(tmp_path)


def test_a_copy_under_another_name_is_left_out(tmp_path: Path) -> None:
    paths = write_series(tmp_path, EVEN)
    again = pydicom.dcmread(paths[1])
    again.SOPInstanceUID = "1.2.3.4"
    again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    again.save_as(tmp_path / "again")
    from la_outcomes.imaging.dicom_stack import without_copies

    slices = series_in(tmp_path).slices
    assert (len(slices), len(without_copies(slices))) == (6, 5)
    again.PixelData = bytes(len(again.PixelData))
    again.save_as(tmp_path / "again")
    assert len(without_copies(series_in(tmp_path).slices)) == 6


def test_a_codestream_cut_in_its_table_of_offsets_is_refused(tmp_path: Path) -> None:
    """Met by a fuzzer: pydicom's struct.error over two bytes of encapsulated pixels."""
    (path,) = write_series(tmp_path, EVEN[:1])
    packed = compressed(pydicom.dcmread(path), "JPEG 2000")
    packed.PixelData = packed.PixelData[:8]
    packed["PixelData"].VR, packed["PixelData"].is_undefined_length = "OB", True
    packed.save_as(path)
    for series in find_series(tmp_path).series:
        for one in series.slices:
            with pytest.raises(InputError, match="decoded"):
                read_pixels(one, "CT")


@pytest.mark.parametrize(("name", "value"), [("Rows", 91), ("PhotometricInterpretation", "RGB")])
def test_pixels_that_are_not_what_the_header_says_are_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    (path,) = write_series(tmp_path, EVEN[:1])
    one = pydicom.dcmread(path)
    setattr(one, name, value)
    one.save_as(path)
    (found,) = series_in(tmp_path).slices
    with pytest.raises(InputError, match="decoded"):
        read_pixels(found, "CT")
