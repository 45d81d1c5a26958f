"""The command ``la-outcomes``: a table of verbs, each imported with its own code only when it runs."""

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from la_outcomes.errors import LaOutcomesError, ResourceError

VERBS = {
    "demo": "Simulate, label, train, segment, analyse and report on this machine.",
    "simulate": "Simulate patients with known truth, with or without images.",
    "check": "Say in plain words what a file is and whether it can be used.",
    "convert": "DICOM archives or BIDS to NIfTI scans with checked geometry.",
    "label": "Pseudo-labels on CT from CT-FLAIR pairs.",
    "apply-transform": "Carry an image or mask through a coregistration, either way.",
    "train": "Train a 2D nnU-Net on CT and pseudo-labels and export a bundle.",
    "evaluate": "Score predicted masks against labels, a person's masks or the truth.",
    "segment": "Segment LA on CT with a bundle and measure its volume.",
    "model": "Show, verify or activate a model bundle.",
    "ingest": "Take result shards into the registry.",
    "import-clinical": "Validate a clinical table and take it into the registry.",
    "import-volumes": "Take in volumes that another tool measured.",
    "review": "Look at labels and segmentations in the browser, grade scans.",
    "audit": "Check the registry's data quality.",
    "status": "What is in the registry and what is left to run.",
    "query": "Run a read-only SQL query.",
    "export": "Write the registry's tables for other software.",
    "trace": "Follow a published number back to its masks.",
    "report": "Run all analyses and gather them in one HTML page.",
    "freeze": "Fix a cohort for a publication, and show later that nothing changed.",
    "erase": "Take a patient who withdrew out of everything.",
    "fetch": "Studies from a PACS by a list of their ids.",
    "send": "DICOM segmentations and reports to a PACS.",
    "backup": "Copy a registry to a file.",
    "restore": "Bring a registry back from a backup.",
}


def _switch_to_json(on: bool) -> None:
    if on:
        from la_outcomes.execution.progress import log_as_json

        log_as_json()


def _log_json_option() -> Any:
    """The option that every verb has."""

    def verb(
        log_json: Annotated[
            bool,
            typer.Option(
                "--log-json", is_eager=True, callback=_switch_to_json,
                help="progress, errors and the end as JSON lines on standard error",
            ),
        ] = False,
    ) -> None: ...  # fmt: skip

    single = typer.Typer(add_completion=False)
    single.command()(verb)
    option = get_command(single).params[0]
    option.expose_value = False
    return option


class VerbGroup(TyperGroup):
    """Commands found by name, so that ``--help`` needs none of their imports."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the verbs, in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one verb; None where there is none of this name."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"la_outcomes.cli.{cmd_name.replace('-', '_')}")
        if hasattr(module, "app"):
            command = get_command(module.app)
        else:
            single = typer.Typer(add_completion=False)
            single.command(name=cmd_name)(module.command)
            command = get_command(single)
        command.name = cmd_name
        for verb in getattr(command, "commands", {"": command}).values():
            verb.params.append(_log_json_option())
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs with one line each without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(
    cls=VerbGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Leukoaraiosis on CT and stroke outcome: labels, models, volumes, registry, analyses.",
)  # fmt: skip


@app.callback(invoke_without_command=False)
def _root() -> None:
    pass


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are told on standard error."""
    try:
        get_command(app)(args=list(arguments) if arguments is not None else None)
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print("stopped; what is done stays done", file=sys.stderr)
        return 130
    except LaOutcomesError as error:
        return _tell(error)
    except MemoryError:
        return _tell(ResourceError("out of memory", hint="fewer --jobs, or a machine with more memory"))
    except OSError as error:
        if error.errno in (28, 122):
            return _tell(ResourceError("no space left on the disk", hint="free space and run it again"))
        raise
    except Exception as error:
        if damage := _damage(error):
            return _tell(damage)
        raise


def _damage(error: Exception) -> LaOutcomesError | None:
    """A registry's damage that DuckDB met while it read; DuckDB is not imported where no verb used it."""
    if "duckdb" not in sys.modules:
        return None
    from la_outcomes.registry.database import damage_told_by

    return damage_told_by(error)


def _tell(error: LaOutcomesError) -> int:
    progress = sys.modules.get("la_outcomes.execution.progress")
    if progress is not None and progress.writes_json():
        facts = {"what": error.what, "where": error.where, "hint": error.hint}
        progress.log_event("error", **facts, exit_code=error.exit_code)
        return error.exit_code
    print(f"error: {error.what}", file=sys.stderr)
    for name, value in (("where", error.where), ("hint", error.hint)):
        if value:
            print(f"  {name}: {value}", file=sys.stderr)
    return error.exit_code


def main() -> None:
    """Entry point of the console script."""
    code = run()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)
