"""The loop: draw slices, learn, keep checkpoints; a killed run goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from la_outcomes.errors import InputError
from la_outcomes.pretraining.augment import draw_sample
from la_outcomes.pretraining.network import FEATURES, architecture, batch_tensors, channels, loss_of
from la_outcomes.pretraining.pool import Pool
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.weights import built_network
from la_outcomes.shards import atomic_path, write_text_atomic
from la_outcomes.simulation.fields import stream

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
_JOB = "job.json"


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: the rate rises over ``warmup``, stays, and falls to 0 over the last ``fall``.

    ``iterations`` may be changed before the fall has begun: what comes out is the same as if the new number
    had been given from the start. ``per_take`` iterations pass from one new take to the next;
    ``first_takes`` are there from the start.
    """

    iterations: int = 3200
    batch: int = 8
    rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: int = 100
    fall: int = 2000
    per_take: int = 8
    first_takes: int = 9
    save_every: int = 50

    def rate_at(self, iteration: int) -> float:
        """Learning rate of an iteration."""
        left = (self.iterations - iteration) / max(self.fall, 1)
        return self.rate * min(1.0, (iteration + 1) / self.warmup, max(left, 0.0))


@dataclass(eq=False)
class Learner:
    """Network and optimiser after so many iterations; seconds of the processor spent on them."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    features: tuple[int, ...] = FEATURES
    iteration: int = 0
    seconds: float = 0.0

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "seconds": self.seconds,
        }
        with atomic_path(folder / CHECKPOINT) as temporary:
            torch.save(state, temporary)


def load_learner(
    folder: Path, schedule: Schedule, seed: int, features: tuple[int, ...] = FEATURES
) -> Learner:
    """The learner of a folder's checkpoint, or a fresh one."""
    torch.manual_seed(seed)
    network = built_network(architecture(features), channels=3, classes=channels()).train()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=schedule.weight_decay)
    learner = Learner(network, optimizer, features)
    file = folder / CHECKPOINT
    if file.exists():
        state = torch.load(file, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        learner.iteration, learner.seconds = int(state["iteration"]), float(state["seconds"])
    return learner


def claim(folder: Path, job: dict[str, Any]) -> None:
    """Note whose the folder is; raises ``InputError`` where another training is in it."""
    file = folder / _JOB
    text = json.dumps(job, indent=1, sort_keys=True)
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise InputError("the folder holds another training", where=folder, hint="choose another --out")
    write_text_atomic(file, text)


def learn(
    learner: Learner,
    pool: Pool,
    spec: InputSpec,
    schedule: Schedule,
    folder: Path,
    every: Callable[[Learner], dict[str, Any]] | None = None,
    every_iterations: int = 250,
) -> None:
    """Train until ``schedule.iterations``; checkpoints and one line of ``log.jsonl`` every ``save_every``.

    ``every``: called each ``every_iterations`` on the learner, what it returns is logged.
    """
    losses: list[float] = []
    while learner.iteration < schedule.iterations:
        started = time.process_time()
        pool.reach(schedule.first_takes - 1 + learner.iteration // schedule.per_take)
        losses.append(_step(learner, pool, spec, schedule))
        learner.iteration += 1
        learner.seconds += time.process_time() - started
        last = learner.iteration == schedule.iterations
        if learner.iteration % schedule.save_every == 0 or last:
            learner.save(folder)
            told: dict[str, Any] = {"iteration": learner.iteration, "loss": round(float(np.mean(losses)), 4)}
            told["cpu_seconds"] = round(learner.seconds, 1)
            if every is not None and (learner.iteration % every_iterations == 0 or last):
                told |= every(learner)
            _log(folder, told)
            losses = []


def _step(learner: Learner, pool: Pool, spec: InputSpec, schedule: Schedule) -> float:
    rng = stream(pool.seed, "iteration", str(learner.iteration))
    chosen = [pool.choose(rng) for _ in range(schedule.batch)]
    images, targets = batch_tensors(
        [draw_sample(take, number, spec, pool.modality, rng) for take, number in chosen]
    )
    for group in learner.optimizer.param_groups:
        group["lr"] = schedule.rate_at(learner.iteration)
    with torch.autocast("cpu", torch.bfloat16):
        logits = learner.network(images)
    loss = loss_of(logits, targets)
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.network.parameters(), 5.0)
    learner.optimizer.step()
    return float(loss.detach())


def _log(folder: Path, told: dict[str, Any]) -> None:
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
    print(json.dumps(told), flush=True)


def job_of(pool: Pool, spec: InputSpec, schedule: Schedule) -> dict[str, Any]:
    """What makes a training what it is, all but its length."""
    pace = {name: value for name, value in asdict(schedule).items() if name not in ("iterations", "fall")}
    return {
        "modality": pool.modality,
        "seed": pool.seed,
        "vendors": list(pool.vendors),
        "anatomies": list(pool.sources.anatomies),
        "infarct_masks": len(pool.sources.masks),
        "spec": vars(spec),
        "pace": pace,
    }
