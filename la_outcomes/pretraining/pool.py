"""The acquisitions a training learns from at the moment: a window that moves over an endless row of takes.

Take ``n`` is the same for the same seed, whoever draws it and when; a run that was killed draws its window
again, or reads it where it is still on disk.
"""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.pretraining import ct_takes, flair_takes
from la_outcomes.pretraining.heads import Sources, head_of
from la_outcomes.pretraining.takes import Take
from la_outcomes.shards import atomic_path
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.pair import DrawnPatient

_TRIES = 10


@dataclass(eq=False)
class Pool:
    """The last ``size`` takes up to ``newest``; ``takes_per_head`` acquisitions of each head.

    ``modality`` "CT" or "FLAIR"; ``vendors`` of the CTs; ``image``: the simulator's parameters; ``folder``:
    where takes are kept for a run that goes on.
    """

    sources: Sources
    modality: str
    seed: int
    vendors: tuple[str, ...]
    image: dict[str, Any]
    folder: Path
    size: int = 48
    takes_per_head: int = 4
    _takes: dict[int, Take] = field(default_factory=dict)
    _head: tuple[int, DrawnPatient] | None = None

    def reach(self, newest: int) -> None:
        """Make ``newest`` the newest take; older ones than the window are dropped."""
        window = range(max(newest - self.size + 1, 0), newest + 1)
        for number in self._takes:
            if number < window.start:
                self._file(number).unlink(missing_ok=True)
        known = self._takes
        self._takes = {n: known[n] if n in known else self._kept(n) for n in window}

    def choose(self, rng: np.random.Generator) -> tuple[Take, int]:
        """One take at random and one of its slices: any, or, half of the time, one of the more lesion.

        Infarcts count half, so that slices which show both, or an infarct alone, are learned from too.
        """
        take = list(self._takes.values())[int(rng.integers(len(self._takes)))]
        if rng.random() < 0.5:
            return take, int(rng.integers(take.slices))
        area = (take.lesion.astype(np.float32) + 0.5 * take.infarct).sum(axis=(1, 2)) + 255.0
        return take, int(rng.choice(take.slices, p=area / area.sum()))

    def draw(self, number: int) -> Take:
        """Take ``number``, drawn from its head; a block of slices that holds no brain is drawn again."""
        drawn = self.head(number // self.takes_per_head)
        rng = stream(self.seed, "take", self.modality, str(number))
        for _ in range(_TRIES):
            with contextlib.suppress(InputError):
                return self._acquired(drawn, rng)
        raise InputError("no acquisition of a head shows its brain", where=f"take {number}")

    def _acquired(self, drawn: DrawnPatient, rng: np.random.Generator) -> Take:
        if self.modality == "CT":
            settings = ct_takes.draw_settings(self.vendors, rng)
            return ct_takes.ct_take(drawn, settings, rng, ct_takes.varied(self.image, rng))
        return flair_takes.flair_take(
            drawn, flair_takes.draw_settings(rng), rng, flair_takes.varied(self.image, rng)
        )

    def head(self, number: int) -> DrawnPatient:
        """Head ``number``; the last one is kept."""
        if self._head is None or self._head[0] != number:
            self._head = (number, head_of(self.sources, self.seed, number, self.image)[1])
        return self._head[1]

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def _kept(self, number: int) -> Take:
        file = self._file(number)
        if file.exists():
            try:
                with np.load(file, allow_pickle=False) as stored:
                    return Take(**{name: stored[name] for name in stored.files})
            except (OSError, ValueError, KeyError, TypeError, BadZipFile, zlib.error):
                file.unlink()
        take = self.draw(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary, temporary.open("wb") as opened:
            np.savez(opened, **take.arrays())  # type: ignore[arg-type]
        return take
