"""``python -m la_outcomes.pretraining {ct,flair}``: train on acquisitions drawn while training."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from la_outcomes.pretraining import ct_takes, flair_takes
from la_outcomes.pretraining.bundles import Shifts, export
from la_outcomes.pretraining.heads import Sources
from la_outcomes.pretraining.loop import Learner, Schedule, claim, job_of, learn, load_learner
from la_outcomes.pretraining.pool import Pool
from la_outcomes.pretraining.validation import measure, validation_cases
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.simulation.parameters import load_parameters

_PARITY_TAKES = 6


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m la_outcomes.pretraining", description=__doc__)
    parser.add_argument("modality", choices=["ct", "flair"])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the training; a killed one goes on"
    )
    parser.add_argument("--anatomies", type=Path, help="folder of FreeSurfer label maps (none: the template)")
    parser.add_argument("--infarcts", type=Path, help="folder of infarct masks in MNI152 (none: modelled)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=Schedule.iterations, help="of 8 slices each")
    parser.add_argument(
        "--fall", type=int, default=Schedule.fall, help="last ones, over which the rate falls to 0"
    )
    parser.add_argument("--validation-heads", type=int, default=0, help="measured each 250 iterations")
    parser.add_argument("--bundle", type=Path, help="do not train: export the last checkpoint to this folder")
    parser.add_argument("--shift", type=float, default=0.0, help="added to the lesion's log odds at export")
    parser.add_argument("--infarct-shift", type=float, default=0.0, help="added to the infarct's at export")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    asked = arguments().parse_args(argv)
    torch.set_num_threads(1)
    sources = Sources.of(asked.anatomies, asked.infarcts, "training")
    ct = asked.modality == "ct"
    vendors = tuple(name for name in ct_takes.KERNELS if name != ct_takes.HELD_OUT) if ct else ()
    spec = ct_takes.SPEC if ct else flair_takes.SPEC
    schedule = Schedule(iterations=asked.iterations, fall=asked.fall, per_take=10, first_takes=12)
    image = load_parameters()["image"]
    pool = Pool(sources, "CT" if ct else "FLAIR", asked.seed, vendors, image, asked.out / "takes")
    learner = load_learner(asked.out, schedule, asked.seed)
    if asked.bundle is not None:
        pool.size = _PARITY_TAKES
        pool.reach(max(schedule.first_takes - 1 + (learner.iteration - 1) // schedule.per_take, 0))
        bundle = export(learner, pool, spec, schedule, asked.bundle, Shifts(asked.shift, asked.infarct_shift))
        print(f"{bundle.name}, sha256 {bundle.model_sha256[:16]}, parity {bundle.card['parity']}")
        return
    claim(asked.out, job_of(pool, spec, schedule))
    learn(learner, pool, spec, schedule, asked.out, _validation(asked, pool, spec))


def _validation(
    asked: argparse.Namespace, pool: Pool, spec: InputSpec
) -> Callable[[Learner], dict[str, Any]] | None:
    """What measures the network now and then, or None where no validation heads are asked for."""
    if not asked.validation_heads:
        return None
    sources = Sources.of(asked.anatomies, asked.infarcts, "validation")
    own = Pool(sources, pool.modality, pool.seed, pool.vendors, pool.image, asked.out / "validation")
    cases = validation_cases(own, spec, asked.validation_heads)
    return lambda learner: measure(learner.network, cases, spec)


if __name__ == "__main__":
    main()
