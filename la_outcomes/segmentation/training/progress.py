"""What a training says while it runs: a bar with loss, pseudo-Dice, and data-wait against step time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from la_outcomes.segmentation.training.trainer import EpochReport


@contextmanager
def training_progress(epochs: int, which: str = "") -> Iterator[Callable[[EpochReport], None]]:
    """A function to call after each epoch: a bar on a terminal, else about ten lines in all.

    ``which`` is put before each line: the fold, where there are several.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda report: _print_some(report, which)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("epochs", total=epochs)
        yield lambda report: bar.update(task, completed=report.epoch, description=which + describe(report))


def describe(report: EpochReport) -> str:
    """One line on one epoch."""
    dice = "none seen" if report.pseudo_dice is None else f"{report.pseudo_dice:.3f}"
    return (
        f"loss {report.loss:.3f}, validation {report.validation_loss:.3f}, pseudo-Dice {dice}, "
        f"step {report.step_seconds:.1f} s, data {report.wait_seconds:.1f} s"
    )


def _print_some(report: EpochReport, which: str) -> None:
    if report.epoch == report.epochs or report.epoch % max(report.epochs // 10, 1) == 0:
        print(f"{which}epoch {report.epoch}/{report.epochs}: {describe(report)}", file=sys.stderr)
