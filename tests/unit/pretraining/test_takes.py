"""Acquisitions on the network's grid: targets lie where the image shows them, volumes stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from la_outcomes.pretraining import ct_takes, flair_takes
from la_outcomes.pretraining.augment import COLUMNS, draw_sample
from la_outcomes.pretraining.network import batch_tensors, loss_of
from la_outcomes.pretraining.pool import Pool
from la_outcomes.pretraining.takes import CLASSES, CSF, GREY, INFARCT, LESION, WHITE, Take, cut_block
from la_outcomes.simulation.anatomy import PARENCHYMA, is_tissue
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import CtSettings
from la_outcomes.simulation.sampling import Grid


@pytest.fixture(scope="session")
def ct(ct_pool: Pool) -> Take:
    return ct_pool.draw(0)


@pytest.fixture(scope="session")
def flair(flair_pool: Pool) -> Take:
    return flair_pool.draw(0)


def test_a_take_holds_one_slice_more_at_each_end(ct: Take, flair: Take) -> None:
    for take in (ct, flair):
        assert take.image.shape == (take.slices + 2, 224, 224)
        assert take.tissue.shape == take.lesion.shape == take.infarct.shape == (take.slices, 224, 224)


def test_ct_targets_lie_on_their_tissue(ct: Take) -> None:
    image = ct.image[1:-1].astype(float)
    healthy = (ct.lesion == 0) & (ct.infarct == 0)
    white, grey = (np.median(image[healthy & (ct.tissue == name)]) for name in (WHITE, GREY))
    assert white < grey
    dark = healthy & (image < 12) & (ndimage.binary_erosion(ct.tissue > 0, np.ones((1, 5, 5))))
    assert (ct.tissue[dark] == CSF).mean() > 0.8
    assert (ct.tissue[ct.lesion > 200] > 0).mean() > 0.95


def test_flair_has_white_matter_at_100_and_brighter_lesions(flair: Take) -> None:
    image = flair.image[1:-1].astype(float)
    healthy = (flair.lesion == 0) & (flair.infarct == 0)
    assert 85 < np.median(image[healthy & (flair.tissue == WHITE)]) < 118
    assert image[healthy & (flair.tissue == CSF)].mean() < 75


def test_the_lesions_volume_stays_on_the_networks_grid(ct_pool: Pool) -> None:
    drawn = ct_pool.head(0)
    settings = CtSettings(slice_thickness_mm=5.0, slice_spacing_mm=5.0)
    take = ct_takes.ct_take(drawn, settings, stream(1, "volume"), ct_pool.image)
    volume = take.lesion.sum() / 255 * 0.9**2 * 5 / 1000
    assert volume == pytest.approx(drawn.lesions.wmh.visible_volume_ml, rel=0.06, abs=0.1)


def test_varied_parameters_leave_the_packages_own_alone() -> None:
    image = load_parameters()["image"]
    for module in (ct_takes, flair_takes):
        for number in range(6):
            module.varied(image, np.random.default_rng(number))
    assert image == load_parameters()["image"]


def test_the_vendor_held_out_is_never_drawn() -> None:
    vendors = tuple(name for name in ct_takes.KERNELS if name != ct_takes.HELD_OUT)
    rng = np.random.default_rng(0)
    drawn = [ct_takes.draw_settings(vendors, rng) for _ in range(200)]
    assert {settings.manufacturer for settings in drawn} == set(vendors)
    assert all(settings.kernel in ct_takes.KERNELS[settings.manufacturer] for settings in drawn)


def test_a_block_is_a_part_of_its_grid() -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    block = cut_block(Grid((8, 8, 90), affine, 2.0, np.eye(4)), 40, np.random.default_rng(0))
    assert block.shape == (8, 8, 40)
    first = block.affine[2, 3] / 2
    assert first == round(first)
    assert 0 <= first <= 50


def test_a_sample_keeps_image_and_targets_together(ct: Take) -> None:
    number = int(np.argmax((ct.tissue > 0).sum((1, 2))))
    for seed in range(4):
        sample = draw_sample(ct, number, ct_takes.SPEC, "CT", np.random.default_rng(seed))
        assert sample.image.shape == (3, 224, COLUMNS)
        assert sample.tissue.shape == (224, COLUMNS)
        inside = sample.image[1][sample.tissue == WHITE]
        assert -1.2 < np.median(inside) < 1.2
        assert abs(int((sample.tissue > 0).sum()) - int((ct.tissue[number] > 0).sum())) < 400


def test_the_same_numbers_give_the_same_sample(flair: Take) -> None:
    first, second = (
        draw_sample(flair, 3, flair_takes.SPEC, "FLAIR", np.random.default_rng(5)) for _ in range(2)
    )
    assert (first.image == second.image).all()
    assert (first.lesion == second.lesion).all()


def test_targets_are_shares_of_the_classes_and_the_loss_falls_to_them(ct: Take) -> None:
    sample = draw_sample(ct, ct.slices // 2, ct_takes.SPEC, "CT", np.random.default_rng(1))
    images, targets = batch_tensors([sample, sample])
    assert images.shape == (2, 3, 224, COLUMNS)
    assert targets.shape == (2, len(CLASSES), 224, COLUMNS)
    assert targets.sum(1).numpy() == pytest.approx(1.0, abs=1e-5)
    right = loss_of((targets + 1e-6).log(), targets)
    wrong = loss_of((targets.roll(20, 3) + 1e-6).log(), targets)
    assert right < 0.2 < wrong


def test_an_infarct_called_lesion_costs_more_than_one_called_white_matter() -> None:
    targets = torch.zeros(1, len(CLASSES), 8, 8)
    targets[:, INFARCT] = 1
    losses = []
    for called in (LESION, WHITE):
        shares = torch.full_like(targets, 0.02)
        shares[:, called] = 0.9
        losses.append(float(loss_of(shares.log(), targets)))
    assert losses[0] > losses[1] + 3


def test_hippocampi_are_brightened_on_both_sides_and_nothing_else(flair_pool: Pool) -> None:
    head = flair_pool.head(0).head
    signal = np.ones(head.tissue.shape, dtype=np.float32)
    flair_takes._brighten(signal, head, flair_takes._BRIGHT[0], 0.4, np.random.default_rng(3))
    assert 1.3 < signal.max() <= 1.4 + 1e-5
    x = np.arange(signal.shape[0]) + head.affine[0, 3]
    raised = (signal > 1.2).sum((1, 2))
    assert min(raised[x < -10].sum(), raised[x > 10].sum()) > 1000
    assert raised[np.abs(x) < 6].sum() == 0
    assert (signal[~is_tissue(head.tissue, PARENCHYMA)] == 1).all()
