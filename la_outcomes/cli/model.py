"""``la-outcomes model``: show, import, verify, calibrate or activate a model bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption
from la_outcomes.errors import InputError

app = typer.Typer(help="Show, import, verify, calibrate or activate a model bundle.", no_args_is_help=True)

Bundle = Annotated[Path, typer.Argument(help="folder of the bundle")]


@app.command()
def show(bundle: Bundle, card: Annotated[bool, typer.Option(help="the whole card as JSON")] = False) -> None:
    """What a bundle is, what it was trained on, and what it is for."""
    from la_outcomes.cli.train import describe_parity
    from la_outcomes.segmentation.bundle import load_bundle

    loaded = load_bundle(bundle)
    if card:
        print(json.dumps(loaded.card, indent=1))
        return
    training, spec = loaded.card["training"], loaded.spec
    print(f"{loaded.name}, sha256 {loaded.model_sha256}")
    grid = (
        f"{spec.size_px} px of {spec.spacing_mm:g} mm, {spec.slices} slice{'s'[: spec.slices > 1]} at a time"
    )
    print(f"  sees {grid}, {spec.hu_low:g} to {spec.hu_high:g} HU; gives {', '.join(loaded.outputs.names)}")
    print(f"  trained on {training['patients']} patients{', simulated' if training['simulated'] else ''}")
    print(f"  {training['split']}; slices {training['slice_spacing_mm']} mm apart")
    print(describe_parity(loaded.card["parity"]))
    print(f"  intended use: {loaded.card['intended_use']}")
    print(f"  limits: {loaded.card['limits']}")


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

    loaded = opened(bundle, read_card(bundle), engine, "cpu")
    loaded.compute  # noqa: B018 - opens the network and compares its tensors with the card's
    print(f"{loaded.name}: card, hashes and network agree")
    if scans is None:
        return
    from la_outcomes.cli.train import describe_parity
    from la_outcomes.segmentation.cases import read_scans
    from la_outcomes.segmentation.training.parity import prove_engine

    parity = prove_engine(bundle, engine, [case.path for case in read_scans(scans, modality="CT")])
    print(describe_parity(parity))
    if not parity["equivalent"]:
        raise InputError("the bundle was not shown to be equivalent to nnU-Net's predictor", where=bundle)


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
    95 % prediction interval.
    """
    from la_outcomes.segmentation.calibration import calibrate as fit

    found = fit(bundle, predictions, mri)
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
