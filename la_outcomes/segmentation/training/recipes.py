"""What is trained and how: the network and its grid, and the schedule.

One code path for all devices: the full schedule is nnU-Net's own (SGD, 1,000 epochs), the smoke schedule
one that a CPU finishes in minutes. The network is one of those compared in
``docs/benchmarks/configurations.md``, or nnU-Net's plan for the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from la_outcomes.errors import UsageError
from la_outcomes.segmentation.preprocessing import InputSpec


@dataclass(frozen=True)
class Configuration:
    """What the network sees and how large it is.

    ``features`` of each stage (each halves the resolution of the one before) None: nnU-Net plans them.
    ``small_batch`` is the batch of a schedule that does not leave it to nnU-Net.
    """

    spec: InputSpec
    features: tuple[int, ...] | None = None
    small_batch: int | None = None


PLANNED = "nnunet"
DEFAULT = "0.9mm-3slices"
CONFIGURATIONS: Mapping[str, Configuration] = {
    PLANNED: Configuration(InputSpec(320, 0.7)),
    "0.9mm": Configuration(InputSpec(224, 0.9), (16, 32, 64, 128), 2),
    "0.9mm-narrow": Configuration(InputSpec(224, 0.9), (8, 16, 32, 64), 2),
    "0.9mm-deep": Configuration(InputSpec(224, 0.9), (16, 32, 64, 128, 128), 2),
    "0.9mm-3slices": Configuration(InputSpec(224, 0.9, slices=3), (16, 32, 64, 128), 2),
    "0.7mm": Configuration(InputSpec(288, 0.7), (16, 32, 64, 128), 2),
    "0.7mm-narrow": Configuration(InputSpec(288, 0.7), (8, 16, 32, 64), 2),
    "0.45mm-narrow": Configuration(InputSpec(448, 0.45), (8, 16, 32, 64, 64), 2),
}


@dataclass(frozen=True)
class Recipe:
    """One way to train.

    ``features`` as in ``Configuration``; ``batch_size`` None: nnU-Net plans it. ``architecture`` is
    nnU-Net's description of a network to go on from, and outranks ``features``. ``rotation_deg`` and
    ``mirror_axes`` (0 row, 1 column) bound the augmentation. ``optimizer`` "sgd" is nnU-Net's own
    (Nesterov, polynomial decay), "adamw" keeps the decay. ``save_every`` epochs lie between checkpoints.
    """

    name: str
    spec: InputSpec
    epochs: int
    iterations: int
    validation_iterations: int
    optimizer: str
    learning_rate: float
    rotation_deg: float
    mirror_axes: tuple[int, ...]
    save_every: int
    features: tuple[int, ...] | None = None
    batch_size: int | None = None
    architecture: dict[str, Any] | None = None

    def as_card(self) -> dict[str, Any]:
        """The recipe as the model card and the training's identity hold it."""
        return asdict(self)


FULL = Recipe(
    name="full",
    spec=CONFIGURATIONS[DEFAULT].spec,
    epochs=1000,
    iterations=250,
    validation_iterations=50,
    optimizer="sgd",
    learning_rate=1e-2,
    rotation_deg=180.0,
    mirror_axes=(0, 1),
    save_every=10,
    features=CONFIGURATIONS[DEFAULT].features,
)
SMOKE = Recipe(
    name="smoke",
    spec=InputSpec(size_px=128, spacing_mm=1.5),
    epochs=20,
    iterations=40,
    validation_iterations=8,
    optimizer="adamw",
    learning_rate=2e-3,
    rotation_deg=15.0,
    mirror_axes=(1,),
    save_every=1,
    features=(16, 32, 64, 128),
    batch_size=4,
)


def recipe(
    *,
    smoke: bool,
    configuration: str | None = None,
    epochs: int | None = None,
    iterations: int | None = None,
    learning_rate: float | None = None,
) -> Recipe:
    """The full or the smoke recipe, with another network or schedule where asked.

    ``configuration`` is a key of ``CONFIGURATIONS``. Raises ``UsageError`` for an unknown one, epochs or
    iterations below 1 and a learning rate of 0 or less.
    """
    chosen = SMOKE if smoke else FULL
    if configuration is not None:
        chosen = with_configuration(chosen, configuration)
    wanted = {"epochs": epochs, "iterations": iterations, "learning_rate": learning_rate}
    changes = {name: value for name, value in wanted.items() if value is not None}
    for name, value in changes.items():
        if value <= 0:
            raise UsageError(f"{name} must be above 0, not {value}")
    return replace(chosen, **changes)  # type: ignore[arg-type]


def with_configuration(schedule: Recipe, name: str) -> Recipe:
    """The schedule for another grid and network; raises ``UsageError`` where there is none of this name."""
    if name not in CONFIGURATIONS:
        raise UsageError(f"there is no configuration {name!r}", hint=", ".join(CONFIGURATIONS))
    found = CONFIGURATIONS[name]
    return replace(
        schedule,
        name=f"{schedule.name}-{name}",
        spec=found.spec,
        features=found.features,
        batch_size=None if schedule.batch_size is None else found.small_batch,
    )
