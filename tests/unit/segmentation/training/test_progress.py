from __future__ import annotations

import pytest

from la_outcomes.segmentation.training.progress import describe, training_progress
from la_outcomes.segmentation.training.trainer import EpochReport


def _report(epoch: int, pseudo_dice: float | None = 0.4321) -> EpochReport:
    return EpochReport(epoch, 100, 0.5, 0.25, pseudo_dice, step_seconds=12.34, wait_seconds=0.56)


def test_an_epoch_tells_losses_pseudo_dice_and_where_the_time_went() -> None:
    assert describe(_report(1)) == "loss 0.500, validation 0.250, pseudo-Dice 0.432, step 12.3 s, data 0.6 s"
    assert "pseudo-Dice none seen" in describe(_report(1, None))


def test_outside_a_terminal_about_ten_lines_are_printed_each_with_its_fold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with training_progress(100, "fold 3 ") as tell:
        for epoch in range(1, 101):
            tell(_report(epoch))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"fold 3 epoch {n}/100" for n in range(10, 101, 10)]
