"""A training of a few iterations: resumed, refused, validated, exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from la_outcomes.errors import InputError
from la_outcomes.pretraining.__main__ import arguments
from la_outcomes.pretraining.bundles import Shifts, export
from la_outcomes.pretraining.ct_takes import SPEC
from la_outcomes.pretraining.loop import LOG, Schedule, claim, job_of, learn, load_learner
from la_outcomes.pretraining.pool import Pool
from la_outcomes.pretraining.validation import Case, log_odds, measure, summary
from la_outcomes.segmentation.preprocessing import keep_volume
from la_outcomes.segmentation.training.weights import rebuilt_networks

FEATURES = (4, 8)
SCHEDULE = Schedule(
    iterations=4, batch=2, rate=1e-2, warmup=1, fall=1, per_take=2, first_takes=1, save_every=2
)


@pytest.fixture(scope="module")
def trained(ct_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    learn(load_learner(folder, SCHEDULE, 1, FEATURES), ct_pool, SPEC, SCHEDULE, folder)
    return folder


def test_a_killed_training_ends_as_one_that_was_not(trained: Path, ct_pool: Pool, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(learner: object) -> dict[str, object]:
        raise Killed

    with pytest.raises(Killed):
        learn(load_learner(tmp_path, SCHEDULE, 1, FEATURES), ct_pool, SPEC, SCHEDULE, tmp_path, kill, 2)
    again = load_learner(tmp_path, SCHEDULE, 1, FEATURES)
    assert again.iteration == 2
    learn(again, ct_pool, SPEC, SCHEDULE, tmp_path)
    whole = load_learner(trained, SCHEDULE, 1, FEATURES)
    assert again.iteration == whole.iteration == 4
    for mine, other in zip(again.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_the_log_tells_each_checkpoint(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / LOG).read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [2, 4]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = Schedule(iterations=1000, rate=1.0, warmup=100, fall=400)
    rates = [schedule.rate_at(n) for n in (0, 49, 99, 500, 600, 800, 999)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0025])


def test_a_folder_belongs_to_one_training(ct_pool: Pool, tmp_path: Path) -> None:
    claim(tmp_path, job_of(ct_pool, SPEC, SCHEDULE))
    claim(tmp_path, job_of(ct_pool, SPEC, Schedule(**{**vars(SCHEDULE), "iterations": 9})))
    with pytest.raises(InputError, match="another training"):
        claim(tmp_path, job_of(ct_pool, SPEC, Schedule(**{**vars(SCHEDULE), "rate": 1.0})))


def test_the_pool_keeps_its_newest_takes_and_reads_them_again(ct_pool: Pool) -> None:
    ct_pool.reach(2)
    assert sorted(ct_pool._takes) == [1, 2]
    assert sorted(file.name for file in ct_pool.folder.iterdir()) == ["000001.npz", "000002.npz"]
    before = ct_pool._takes[2]
    ct_pool._takes.clear()
    ct_pool.reach(2)
    assert ct_pool._takes[2] is not before
    assert (ct_pool._takes[2].image == before.image).all()


def test_a_bundle_says_what_pytorch_says(trained: Path, ct_pool: Pool, tmp_path: Path) -> None:
    ct_pool.reach(2)
    learner = load_learner(trained, SCHEDULE, 1, FEATURES)
    bundle = export(learner, ct_pool, SPEC, SCHEDULE, tmp_path / "model", Shifts(0.5, 0.25))
    assert bundle.outputs.names == ("la", "infarct", "brain", "parenchyma")
    assert bundle.card["parity"]["equivalent"], bundle.card["parity"]
    assert bundle.card["parity"]["largest_log_odds_difference"] < 0.05
    assert bundle.card["simulated"]
    assert not bundle.card["medical_device"]
    training = bundle.card["training"]
    assert (training["lesion_logit_shift"], training["infarct_logit_shift"]) == (0.5, 0.25)
    (network,) = rebuilt_networks(bundle)
    last, own = "decoder.seg_layers.0.bias", dict(learner.network.named_parameters())
    added = dict(network.named_parameters())[last] - own[last]
    assert added.detach().numpy() == pytest.approx([0, 0, 0, 0, 0.5, 0.25], abs=2e-3)
    slices = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(slices))
    others = torch.logsumexp(logits[:, [0, 1, 2, 3, 5]], 1)
    assert bundle.predict(slices)["la"] == pytest.approx((logits[:, 4] - others).numpy(), abs=0.05)


def test_a_perfect_map_of_lesions_measures_perfectly(ct_pool: Pool) -> None:
    ct_pool.reach(2)
    take = next(iter(ct_pool._takes.values()))
    cases = []
    for size in (0, 30, 60, 90):
        lesion = np.zeros_like(take.lesion)
        lesion[2:5, 60 : 60 + size, 70:110] = 255
        lesion[2:5, 60 : 60 + size, 110:112] = 90
        cases.append(Case(replace(take, lesion=lesion), 0.004))
    masks = [keep_volume(case.take.lesion / 255) for case in cases]
    perfect = [np.where(mask, 5.0, -5.0).astype(np.float32) for mask in masks]
    found = summary(perfect, cases, 0.0)
    assert found["bias_ml"] == pytest.approx(0, abs=0.01)
    assert found["dice_above_5_ml"] == 1.0
    assert found["ccc"] > 0.99
    assert found["false_ml"] == 0.0
    nothing = summary([values * 0 - 1 for values in perfect], cases, 0.0)
    assert nothing["infarct_labelled"] in (None, 0.0)
    assert nothing["bias_ml"] < found["bias_ml"] - 10


def test_measuring_leaves_the_network_in_training_mode(trained: Path, ct_pool: Pool) -> None:
    ct_pool.reach(2)
    take = ct_pool._takes[2]
    learner = load_learner(trained, SCHEDULE, 1, FEATURES)
    assert log_odds(learner.network, take, SPEC).shape == take.lesion.shape
    told = measure(learner.network, [Case(take, 0.004)], SPEC)
    assert learner.network.training
    assert set(told) == {"validation", "best_shift", "at_best_shift"}


def test_the_command_knows_its_options() -> None:
    asked = arguments().parse_args(["ct", "--out", "x", "--iterations", "7", "--seed", "3"])
    assert (asked.modality, asked.iterations, asked.seed, asked.bundle) == ("ct", 7, 3, None)
