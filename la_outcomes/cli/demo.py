"""``la-outcomes demo``: the whole line on this machine, from simulated heads to an odds ratio."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Option(help="folder for everything the demo makes")],
    patients: Annotated[
        int | None, typer.Option(min=10, help="simulated patients with images (default 28, tiny 10)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same patients")] = 1,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="about 4 minutes instead of 20: small and coarse")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 2,
) -> None:
    """Simulate a cohort with images, make labels, train, segment, fill a registry, analyse and report.

    Everything is simulated and says so. Run again, it goes on where it was stopped.
    """
    from la_outcomes.cli.demo_plan import Demo, demo_plan
    from la_outcomes.cli.demo_summary import summary

    plan = demo_plan(out, patients=patients, seed=seed, tiny=tiny, jobs=jobs)
    started = time.monotonic()
    demo = Demo(plan)
    for number, (title, run) in enumerate(demo.steps(), 1):
        with _step(f"{number}/{len(demo.steps())} {title}", started):
            run()
    print(summary(plan))


@contextmanager
def _step(title: str, started: float) -> Iterator[None]:
    print(f"[{_clock(time.monotonic() - started)}] {title}", flush=True)
    yield


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:2d}:{rest:02d}"
