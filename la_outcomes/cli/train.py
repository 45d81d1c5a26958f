"""``la-outcomes train``: a 2D nnU-Net on CT and pseudo-labels, exported as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from la_outcomes.errors import UsageError


def command(
    labels_dir: Annotated[Path, typer.Argument(help="folder with labels.csv, as label writes it")],
    out: Annotated[Path, typer.Option(help="folder of the bundle; an unfinished training is resumed")],
    accepted: Annotated[Path | None, typer.Option(help="CSV of ct_scan_id: only these labels")] = None,
    registry: Annotated[
        Path | None, typer.Option(help="registry with reviews: labels rejected there are left out")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu")] = "auto",
    smoke: Annotated[bool, typer.Option(help="small network and schedule for a CPU, minutes")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="instead of the recipe's")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="an epoch, instead of the recipe's")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="instead of the recipe's")] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            help="bundle to fine-tune (a packaged model's name or a folder): grid, network, weights"
        ),
    ] = None,
    configuration: Annotated[
        str | None, typer.Option(help="grid and network instead of the recipe's; 'list' names them")
    ] = None,
    folds: Annotated[int, typer.Option(help="1, or 5: five networks, each case validates one")] = 1,
    seed: Annotated[int, typer.Option(help="of split, weights, sampling and augmentation")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="processes that prepare the training set")] = 1,
) -> None:
    """Train a 2D nnU-Net on CT and pseudo-labels and export a bundle.

    Only accepted labels of the cohorts training and internal_validation are used; patients, and the
    anatomies of simulated heads, are kept apart. A killed training goes on from its last checkpoint.
    """
    from la_outcomes.segmentation.packaged import bundle_path
    from la_outcomes.segmentation.training.recipes import CONFIGURATIONS, recipe
    from la_outcomes.segmentation.training.run import TrainingJob, train

    if registry is not None:
        accepted = _not_rejected(registry, labels_dir, out, accepted)
    if configuration == "list":
        print("\n".join(CONFIGURATIONS))
        return
    if configuration is not None and init_from is not None:
        raise UsageError("a fine-tuned model keeps its grid and network", hint="leave --configuration out")
    chosen = recipe(
        smoke=smoke,
        configuration=configuration,
        epochs=epochs,
        iterations=iterations,
        learning_rate=learning_rate,
    )
    _tell_labels(labels_dir, accepted)
    start = None if init_from is None else bundle_path(init_from)
    bundle = train(TrainingJob(labels_dir, out, chosen, accepted, seed, device, start, jobs, folds))
    training = bundle.card["training"]
    print(f"model {bundle.name}, sha256 {bundle.model_sha256[:16]}, in {out}")
    print(f"  {training['split']}; {training['cases_excluded']} cases could not be prepared")
    for number, fold in enumerate(training["folds"]):
        print(f"  fold {number}: {describe_fold(fold)}")
    print(describe_parity(bundle.card["parity"]))


def _tell_labels(labels_dir: Path, accepted: Path | None) -> None:
    """Before anything is trained: how many labels are used, which are not, and whose word counted."""
    from la_outcomes.segmentation.training.accepted import labels_left_out, read_labels

    cases = read_labels(labels_dir, accepted)
    others = labels_left_out(labels_dir, cases)
    told = ", ".join(f"{count} {status or 'without a status'}" for status, count in sorted(others.items()))
    print(f"{len(cases)} labels are used; left out: {told or 'none'}")
    if accepted is None:
        print("  by quality control alone: what people rejected in a review is left out with --registry FILE")


def _not_rejected(registry: Path, labels_dir: Path, out: Path, accepted: Path | None) -> Path:
    """CSV beside the bundle of the labels that quality control and review let pass."""
    import pandas as pd

    from la_outcomes.errors import InputError, UsageError
    from la_outcomes.registry.query import ask
    from la_outcomes.shards import write_text_atomic

    if accepted is not None:
        raise UsageError("--accepted and --registry do not go together", hint="give one of them")
    with ask(registry, "SELECT ct_scan_id FROM pair_label WHERE is_usable") as answer:
        usable = {row[0] for row in answer.fetchall()}
    file = labels_dir / "labels.csv"
    if not file.is_file():
        raise InputError("the table does not exist", where=file, hint="run la-outcomes label first")
    scans = pd.read_csv(file, dtype=str, usecols=["ct_scan_id"])["ct_scan_id"]
    kept = sorted(set(scans) & usable)
    return write_text_atomic(out.with_name(f"{out.name}.accepted.csv"), "\n".join(["ct_scan_id", *kept, ""]))


def describe_fold(fold: dict[str, Any]) -> str:
    """One line on a fold of a card: cases, pseudo-Dice, and where the time went."""
    dice = [value for value in fold["curve"]["pseudo_dice"] if value is not None]
    told = f"pseudo-Dice of the last epoch {dice[-1]:.3f}" if dice else "no foreground was validated"
    seconds = "; ".join(f"{name} {value:.0f} s" for name, value in fold["seconds"].items())
    return (
        f"{fold['cases_train']} training and {fold['cases_validation']} validation cases; {told}; {seconds}"
    )


def describe_parity(parity: dict[str, object]) -> str:
    """One line on a card's parity."""
    verdict = "equivalent" if parity["equivalent"] else f"NOT proven equivalent ({parity['reason']})"
    lowest = parity["dice_min"]
    told = "no case had foreground" if lowest is None else f"lowest Dice {lowest:.5f}"
    reference = parity.get("reference", "nnUNetPredictor")
    return f"  parity with {reference}: {verdict}; {told} in {parity['cases']} cases"
