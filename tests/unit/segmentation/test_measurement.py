"""What the structures beside LA do to a measurement: brain, infarct, unlikeness, interval."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from head_phantom import SPACING, head_ct
from scipy import ndimage
from toy_bundle import write_tissue_bundle

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle, write_card
from la_outcomes.segmentation.domain import FIGURES, figures_of, fit_domain
from la_outcomes.segmentation.intervals import Interval
from la_outcomes.segmentation.measurement import segment_scan
from la_outcomes.segmentation.reading import read_by_network
from la_outcomes.segmentation.volumetry import dice

BANDS = {"la": (13.0, 24.0), "infarct": (-4.0, 2.0), "brain": (-20.0, 79.0), "parenchyma": (12.0, 60.0)}
NETWORK_BRAIN = {"mask": "network"}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Structures as bands of HU: scalp is as bright as brain, so the brain must be the piece inside bone."""
    return load_bundle(write_tissue_bundle(tmp_path / "tissues", BANDS))


def with_card(bundle: Bundle, **sections: object) -> Bundle:
    write_card(bundle.path, {**bundle.card, **sections})
    return load_bundle(bundle.path)


def with_infarct(image: Image, la: np.ndarray) -> tuple[Image, np.ndarray]:
    """A dark block around half the LA, with LA-like flecks inside it."""
    index = np.indices(image.shape)
    block = (index[0] > 95) & (index[0] < 125) & (index[1] > 80) & (index[1] < 120)
    block &= (index[2] > 7) & (index[2] < 12)
    data = np.where(block, -1.0, image.data)
    data[ndimage.binary_erosion(block, iterations=3) & (index[0] % 7 == 0) & (index[1] % 7 == 0)] = 18
    return Image(data.astype(np.float32), image.affine), block


def test_the_networks_brain_is_the_piece_inside_the_skull(bundle: Bundle) -> None:
    image, _ = head_ct(3)
    rough = ct_brain(image).intracranial
    reading = read_by_network(image, rough, with_card(bundle, brain=NETWORK_BRAIN))
    brain = reading.brain_on_scan()
    assert ndimage.label(brain)[1] == 1
    assert dice(brain, rough) > 0.95


def test_brain_and_skull_volume_come_from_the_network_that_earned_it(bundle: Bundle) -> None:
    image, _ = head_ct(3)
    by_thresholds = segment_scan(image, bundle)
    assert by_thresholds.icv_ml == pytest.approx(ct_brain(image).icv_ml)
    by_network = segment_scan(image, with_card(bundle, brain=NETWORK_BRAIN))
    assert by_network.icv_ml == pytest.approx(4 / 3 * np.pi * 66 * 82 * 58 / 1000, rel=0.05)
    assert by_network.icv_ml != by_thresholds.icv_ml
    assert by_network.brain_volume_ml is not None
    assert 0.5 * by_network.icv_ml < by_network.brain_volume_ml < by_network.icv_ml


def test_la_is_not_labelled_in_an_infarct_and_the_scan_gets_a_warning(bundle: Bundle) -> None:
    image, la = head_ct(3)
    stroke, block = with_infarct(image, la)
    found = segment_scan(stroke, bundle)
    assert found.infarct is not None
    assert dice(found.infarct, block) > 0.8
    assert not (found.mask & ndimage.binary_erosion(block, np.ones((3, 3, 1)))).any()
    assert found.infarct_found_ml == pytest.approx(volume_ml(block, image.affine), rel=0.3)
    assert f"{found.infarct_found_ml:.0f} mL taken for infarct" in str(found.input_warning)
    healthy = segment_scan(image, bundle).infarct_found_ml
    assert healthy is not None
    assert healthy < 0.2 * found.infarct_found_ml


def test_a_scan_unlike_the_known_heads_is_warned_of_then_refused(bundle: Bundle) -> None:
    known = [head_ct(seed)[0] for seed in range(5)]
    readings = [(image, ct_brain(image).intracranial) for image in known]
    figures = [figures_of(i, rough, read_by_network(i, rough, bundle)) for i, rough in readings]
    spread = np.random.default_rng(0)
    many = [{k: v * (1 + 0.01 * spread.normal()) for k, v in row.items()} for row in figures * 5]
    domain = asdict(fit_domain(many))
    dense = np.where(readings[0][1], known[0].data + 15, known[0].data)  # a phantom of the wrong plastic
    odd = Image(dense.astype(np.float32), known[0].affine)
    head = segment_scan(known[0], with_card(bundle, domain=domain))
    assert head.unlikeness is not None
    assert head.unlikeness < 1
    assert "unlike" not in str(head.input_warning)
    strict = {**domain, "warn_above": 1.0, "refuse_above": 1.1}
    with pytest.raises(InputError, match=r"unlike the head CTs .* in the heads the model knows"):
        segment_scan(odd, with_card(bundle, domain=strict))
    lenient = {**domain, "refuse_above": 1e6}
    assert "unlike the head CTs" in str(segment_scan(odd, with_card(bundle, domain=lenient)).input_warning)


def test_the_interval_of_the_card_stands_in_the_row(bundle: Bundle) -> None:
    interval = Interval(below=1.0, above=2.0, base=0.1, level=0.9, n=60, anatomies=2)
    found = segment_scan(head_ct(3)[0], bundle)
    assert "la_volume_low_ml" not in found.row(bundle)
    row = found.row(with_card(bundle, interval=asdict(interval)))
    assert (row["la_volume_low_ml"], row["la_volume_high_ml"]) == interval.limits_ml(found.volume)
    assert found.volume.sure_ml < found.la_volume_ml < found.volume.possible_ml
    assert row["la_volume_low_ml"] < row["la_volume_ml"] < row["la_volume_high_ml"]


def test_more_slices_are_read_where_the_network_says_where_the_brain_ends(bundle: Bundle) -> None:
    image, _ = head_ct(3)
    rough = ct_brain(image).intracranial.copy()
    rough[:, :, : image.shape[2] // 2] = False
    few = read_by_network(image, rough, bundle).crop
    more = read_by_network(image, rough, with_card(bundle, brain=NETWORK_BRAIN)).crop
    assert few.first_slice - more.first_slice == int(np.ceil(8 / SPACING[2])) - 1


def test_figures_have_their_names(bundle: Bundle) -> None:
    image, _ = head_ct(3)
    rough = ct_brain(image).intracranial
    assert set(figures_of(image, rough, read_by_network(image, rough, bundle))) == set(FIGURES)
