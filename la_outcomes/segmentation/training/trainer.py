"""nnU-Net's trainer with the recipe's schedule, seeded, resumable to the bit on a CPU, and talkative.

What differs from nnU-Net: checkpoints are written whole or not at all and read without unpickling
objects; bfloat16 on processors that have it; a loss that is not a number stops the training; data-wait
and step times are told apart. Losses, sampling, augmentation, architecture and optimizer are nnU-Net's.
"""

from __future__ import annotations

import io
import math
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from la_outcomes.errors import InputError
from la_outcomes.segmentation.training.plans import CONFIGURATION
from la_outcomes.segmentation.training.recipes import Recipe
from la_outcomes.segmentation.training.weights import Weights, copy_weights, network_state
from la_outcomes.shards import atomic_path

LATEST = "checkpoint_latest.pth"
FINAL = "checkpoint_final.pth"


@dataclass(frozen=True)
class EpochReport:
    """One epoch: number of it and of all, losses, pseudo-Dice (None: no foreground seen), seconds."""

    epoch: int
    epochs: int
    loss: float
    validation_loss: float
    pseudo_dice: float | None
    step_seconds: float
    wait_seconds: float


Report = Callable[[EpochReport], None]


class LaTrainer(nnUNetTrainer):
    """``nnUNetTrainer`` under a recipe; made by ``make_trainer``."""

    recipe: Recipe
    report: Report
    times: list[list[float]]

    def configure_optimizers(self) -> tuple[Any, Any]:
        """nnU-Net's SGD, or AdamW; both decay polynomially by epoch."""
        if self.recipe.optimizer == "sgd":
            return super().configure_optimizers()
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:
        """nnU-Net's choices within the recipe's rotation and mirroring."""
        _, dummy, initial, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        angle = math.radians(self.recipe.rotation_deg)
        self.inference_allowed_mirroring_axes = self.recipe.mirror_axes
        return (-angle, angle), dummy, initial, self.recipe.mirror_axes

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One step; raises ``InputError`` where the loss is not a number."""
        with self._precision():
            result: dict[str, Any] = super().train_step(batch)
        if not np.isfinite(result["loss"]):
            raise InputError(
                f"the training loss is not a number in epoch {self.current_epoch + 1}",
                hint="lower --learning-rate; if it stays, look at the labels. Earlier epochs are kept",
            )
        return result

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One validation step in the precision of training."""
        with self._precision():
            return super().validation_step(batch)

    def run_training(self) -> None:
        """Train from the current epoch to the last; each epoch is reported and can be resumed from."""
        state = _random_state()
        self.on_train_start()
        if self.current_epoch:  # starting the loaders drew numbers that the first start had drawn already
            _set_random_state(state)
        for _ in range(self.current_epoch, self.num_epochs):
            self._run_epoch()
        self.on_train_end()

    def _run_epoch(self) -> None:
        self.on_epoch_start()
        self.on_train_epoch_start()
        outputs, waited, started = [], 0.0, time.monotonic()
        for batch, wait in _timed(self.dataloader_train, self.num_iterations_per_epoch):
            outputs.append(self.train_step(batch))
            waited += wait
        stepped = time.monotonic() - started - waited
        self.on_train_epoch_end(outputs)
        with torch.no_grad(), warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            self.on_validation_epoch_start()
            batches = _timed(self.dataloader_val, self.num_val_iterations_per_epoch)
            self.on_validation_epoch_end([self.validation_step(batch) for batch, _ in batches])
        self._tell(stepped, waited)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Count the epoch and save a checkpoint where one is due."""
        self.logger.log("epoch_end_timestamps", time.time(), self.current_epoch)
        if (self.current_epoch + 1) % self.save_every == 0:
            self.save_checkpoint(str(Path(self.output_folder) / LATEST))
        self.current_epoch += 1

    def save_checkpoint(self, filename: str) -> None:
        """Write weights, optimizer, curves and random states; whole or not at all."""
        buffer = io.BytesIO()
        state = {
            "network": self._module().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "grad_scaler": None if self.grad_scaler is None else self.grad_scaler.state_dict(),
            "curves": _plain(self.logger.get_checkpoint()),
            "times": self.times,
            "epoch": self.current_epoch + 1,
            "random": _random_state(),
        }
        torch.save(state, buffer)
        with atomic_path(filename) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Take up a checkpoint of ``save_checkpoint``; raises ``InputError`` where it is not whole."""
        try:
            state = torch.load(filename_or_checkpoint, map_location=self.device, weights_only=True)
            self._module().load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:
            hint = "delete it to train from the start"
            raise InputError(
                "the checkpoint cannot be resumed", where=filename_or_checkpoint, hint=hint
            ) from error
        if self.grad_scaler is not None and state["grad_scaler"] is not None:
            self.grad_scaler.load_state_dict(state["grad_scaler"])
        self.logger.load_checkpoint(state["curves"])
        self.times = [list(pair) for pair in state["times"]]
        self.current_epoch = state["epoch"]
        _set_random_state(state["random"])

    def load_weights(self, weights: Weights) -> None:
        """Start from given weights; raises ``InputError`` where they are of another architecture."""
        copy_weights(self._module(), weights)

    def weights(self) -> dict[str, torch.Tensor]:
        """The network's weights on the CPU, contiguous, each once."""
        named = network_state(self._module())
        return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}

    def curve(self) -> dict[str, list[float | None]]:
        """Loss, validation loss and pseudo-Dice of each epoch; None where it is not defined."""
        names = {"loss": "train_losses", "validation_loss": "val_losses", "pseudo_dice": "mean_fg_dice"}
        curves = {name: self.logger.get_value(key, step=None) for name, key in names.items()}
        return {
            name: [round(float(value), 4) if np.isfinite(value) else None for value in values]
            for name, values in curves.items()
        }

    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds of all training steps, and of waiting for their data, killed runs included."""
        return {
            name: round(sum(pair[n] for pair in self.times), 1)
            for n, name in enumerate(("training steps", "waiting for data"))
        }

    def inference_network(self) -> torch.nn.Module:
        """The network on the CPU without deep supervision, in evaluation mode."""
        self.set_deep_supervision_enabled(False)
        return self._module().cpu().float().eval()

    def print_to_log_file(
        self, *args: Any, also_print_to_console: bool = True, add_timestamp: bool = True
    ) -> None:
        """To the log file alone; the console has the progress bar."""
        super().print_to_log_file(*args, also_print_to_console=False, add_timestamp=add_timestamp)

    def plot_network_architecture(self) -> None:
        """No picture of the network: nnU-Net's needs a package nobody has."""

    def _save_debug_information(self) -> None:
        """No debug file: nnU-Net's holds the machine's name."""

    def _module(self) -> torch.nn.Module:
        """The network without torch.compile's wrapper."""
        network: Any = self.network
        module: torch.nn.Module = getattr(network, "_orig_mod", network)
        return module

    def _precision(self) -> Any:
        fast = self.device.type == "cpu" and has_bfloat16()
        return torch.autocast("cpu", torch.bfloat16) if fast else nullcontext()

    def _tell(self, stepped: float, waited: float) -> None:
        self.times.append([stepped, waited])
        dice = float(self.logger.get_value("mean_fg_dice", step=-1))
        self.report(
            EpochReport(
                epoch=self.current_epoch + 1,
                epochs=self.num_epochs,
                loss=float(self.logger.get_value("train_losses", step=-1)),
                validation_loss=float(self.logger.get_value("val_losses", step=-1)),
                pseudo_dice=dice if math.isfinite(dice) else None,
                step_seconds=stepped,
                wait_seconds=waited,
            )
        )


def make_trainer(
    plans: dict[str, Any], dataset_json: dict[str, Any], recipe: Recipe, device: str, fold: int = 0
) -> LaTrainer:
    """A trainer that is initialized but has not begun; call inside ``nnunet_environment``."""
    trainer = LaTrainer(
        {**plans, "continue_training": False}, CONFIGURATION, fold, dataset_json, torch.device(device)
    )
    trainer.times = []
    trainer.recipe = recipe
    trainer.initial_lr = recipe.learning_rate
    trainer.num_epochs = recipe.epochs
    trainer.num_iterations_per_epoch = recipe.iterations
    trainer.num_val_iterations_per_epoch = recipe.validation_iterations
    trainer.save_every = recipe.save_every
    trainer.report = lambda _: None
    trainer.initialize()
    return trainer


def has_bfloat16() -> bool:
    """True where the processor computes in bfloat16; elsewhere emulating it is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: augmentation and sampling draw from their global generators."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def _timed(loader: Iterator[dict[str, Any]], count: int) -> Iterator[tuple[dict[str, Any], float]]:
    """The next batches and how long each was waited for."""
    for _ in range(count):
        started = time.monotonic()
        batch = next(loader)
        yield batch, time.monotonic() - started


def _random_state() -> dict[str, Any]:
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    keys = torch.from_numpy(state["state"]["key"].astype(np.int64))
    numpy_state = [keys, int(state["state"]["pos"]), int(state["has_gauss"]), float(state["gauss"])]
    return {"torch": torch.get_rng_state(), "numpy": numpy_state, "python": random.getstate()}


def _set_random_state(state: dict[str, Any]) -> None:
    keys, *rest = state["numpy"]
    torch.set_rng_state(state["torch"].cpu())
    np.random.set_state(("MT19937", keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])


def _plain(value: Any) -> Any:
    """Lists and dictionaries of Python numbers from the same of NumPy's."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value
