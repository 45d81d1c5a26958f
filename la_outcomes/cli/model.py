"""``la-outcomes model``: show, copy, import, verify, calibrate or activate a model bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption
from la_outcomes.errors import InputError

app = typer.Typer(
    help="Show, copy, import, verify, calibrate or activate a model bundle.", no_args_is_help=True
)

Bundle = Annotated[str, typer.Argument(help="a packaged model's name, or the folder of a bundle")]


@app.command()
def show(bundle: Bundle, card: Annotated[bool, typer.Option(help="the whole card as JSON")] = False) -> None:
    """What a bundle is, what it was trained on, and what it is for."""
    from la_outcomes.cli.model_card import describe
    from la_outcomes.segmentation.bundle import opened, read_card
    from la_outcomes.segmentation.engines import DEFAULT_ENGINE
    from la_outcomes.segmentation.packaged import bundle_path

    folder = bundle_path(bundle)
    loaded = opened(folder, read_card(folder), DEFAULT_ENGINE, "cpu")
    print(json.dumps(loaded.card, indent=1) if card else "\n".join(describe(loaded)))


@app.command()
def copy(bundle: Bundle, out: Annotated[Path, typer.Option(help="folder of the copy; new or empty")]) -> None:
    """Copy a bundle, so that a packaged model can be calibrated or have another engine proven."""
    from la_outcomes.segmentation.packaged import copy_bundle

    print(f"{bundle} copied to {copy_bundle(bundle, out)}")


@app.command()
def verify(
    bundle: Bundle,
    scans: Annotated[Path | None, typer.Option(help="SCANS.csv: repeat the parity on its CTs")] = None,
    engine: Annotated[str, typer.Option(help="another engine to prove; segment --engine may then use it")] = (
        "onnxruntime"
    ),
) -> None:
    """Check a bundle's hashes and network; with --scans repeat its parity with nnU-Net's predictor.

    Engines: onnxruntime, openvino-f32, openvino-bf16. An engine that passes is noted in the card.
    """
    from la_outcomes.segmentation.bundle import opened, read_card
    from la_outcomes.segmentation.engines import DEFAULT_ENGINE
    from la_outcomes.segmentation.packaged import bundle_path, refuse_packaged

    folder = bundle_path(bundle)
    if engine != DEFAULT_ENGINE and scans is not None:
        refuse_packaged(folder)
    loaded = opened(folder, read_card(folder), engine, "cpu")
    loaded.compute  # noqa: B018 - opens the network and compares its tensors with the card's
    print(f"{loaded.name}: card, hashes and network agree")
    if scans is None:
        return
    from la_outcomes.cli.train import describe_parity
    from la_outcomes.segmentation.cases import read_scans
    from la_outcomes.segmentation.training.parity import prove_engine

    parity = prove_engine(folder, engine, [case.path for case in read_scans(scans, modality="CT")])
    print(describe_parity(parity))
    if not parity["equivalent"]:
        raise InputError("the bundle was not shown to be equivalent to nnU-Net's predictor", where=folder)


@app.command("import-nnunet")
def import_nnunet(
    folder: Annotated[Path, typer.Argument(help="nnU-Net v2 model folder (<trainer>__<plans>__2d)")],
    out: Annotated[Path, typer.Option(help="folder of the bundle")],
    fold: Annotated[str, typer.Option(help="fold to take: 0 to 4, or all")] = "0",
    stored: Annotated[str, typer.Option(help="order of the training files on disk: RAS or LPS")] = "RAS",
    scans: Annotated[Path | None, typer.Option(help="SCANS.csv: CTs for the parity, 10 or more")] = None,
) -> None:
    """Convert your own nnU-Net v2 2D model; its checkpoint is read in another process, weights alone."""
    from la_outcomes.cli.train import describe_parity
    from la_outcomes.segmentation.cases import read_scans
    from la_outcomes.segmentation.training.importing import ImportJob
    from la_outcomes.segmentation.training.importing import import_nnunet as convert

    paths = [] if scans is None else [case.path for case in read_scans(scans, modality="CT")]
    bundle = convert(ImportJob(folder, out, fold, stored, paths))
    print(f"model {bundle.name}, sha256 {bundle.model_sha256[:16]}, in {out}")
    print(describe_parity(dict(bundle.card["parity"])))


@app.command()
def calibrate(
    bundle: Bundle,
    predictions: Annotated[Path, typer.Option(help="folder that segment wrote with this bundle")],
    mri: Annotated[Path, typer.Option(help="CSV of scan_id (of the CT) and wmh_volume_ml")],
) -> None:
    """Fit MRI volume to this model's CT volume and write the calibration into the card.

    Use patients the model was not trained on. Later segmentations also give the calibrated volume and its
    95 % prediction interval. A packaged model is copied first (model copy).
    """
    from la_outcomes.segmentation.calibration import calibrate as fit
    from la_outcomes.segmentation.packaged import bundle_path, refuse_packaged

    folder = bundle_path(bundle)
    refuse_packaged(folder)
    found = fit(folder, predictions, mri)
    print(f"ln(MRI mL + 1) = {found.intercept:.3f} + {found.slope:.3f} ln(CT mL + 1), n = {found.n}")
    print(
        f"  residual SD {found.residual_sd:.3f}; CT volumes from {found.low_ml:.1f} to {found.high_ml:.1f} mL"
    )


@app.command()
def activate(
    model: Annotated[str, typer.Argument(help="name or sha256 (its beginning) of a model in the registry")],
    registry: RegistryOption,
) -> None:
    """Choose the model whose volumes are current; holds through a rebuild of the registry."""
    from la_outcomes.provenance import Run
    from la_outcomes.registry.database import open_read_only
    from la_outcomes.registry.files import imports_folder
    from la_outcomes.registry.ingest import ingest
    from la_outcomes.shards import write_shard

    connection = open_read_only(registry)
    try:
        found = connection.execute(
            "SELECT model_sha256, name, kind FROM models WHERE name = ? OR starts_with(model_sha256, ?)",
            [model, model],
        ).fetchall()
    finally:
        connection.close()
    if len(found) != 1:
        problem = "no model" if not found else f"{len(found)} models"
        raise InputError(f"{problem} of this name or hash in the registry", where=registry)
    sha256, name, kind = found[0]
    run = Run("model activate", {"model_sha256": sha256})
    row = {"model_sha256": sha256, "name": name, "kind": kind, "is_active": True}
    rows = {"models": [row], "runs": [run.row()]}
    folder = imports_folder(registry)
    write_shard(folder, kind="model_choice", case_id=sha256[:16], key=run.run_id, status="done", rows=rows)
    ingest([folder], registry)
    print(f"{name} is now the active model of kind {kind}")
