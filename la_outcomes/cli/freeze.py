"""``la-outcomes freeze``: fix a cohort for a publication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption

if TYPE_CHECKING:
    from la_outcomes.registry.freezing import Difference, Frozen

SHOWN = 10


def command(
    name: Annotated[str, typer.Argument(help="name of the cohort, such as that of the paper")],
    registry: RegistryOption,
    population: Annotated[
        str | None, typer.Option(help="SQL condition on analysis_cohort; everybody without it")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="compare the frozen cohort with the registry as it is")
    ] = False,
) -> None:
    """Fix a cohort for a publication, and show later that nothing changed.

    Writes down the patients, a hash of each one's row of analysis_cohort, and the versions. With --check
    exit code 5 tells that a patient or a value is no longer as it was; each is listed.
    """
    from la_outcomes.errors import AuditError, UsageError
    from la_outcomes.registry.freezing import compare, freeze

    if not check:
        _tell(freeze(registry, name, population))
        return
    if population is not None:
        raise UsageError("--population and --check do not go together", hint="the frozen one is compared")
    difference = compare(registry, name)
    _tell(difference.frozen)
    if difference.is_none:
        print(f"nothing changed: {difference.n_now} patients, every value as it was")
        return
    _tell_difference(difference)
    raise AuditError("the cohort is no longer as it was frozen", where=name)


def _tell(frozen: Frozen) -> None:
    print(f"{frozen.name}: {frozen.n} patients with {frozen.population}, frozen {frozen.frozen_at} (UTC)")
    print(f"  SHA-256 {frozen.cohort_sha256}")
    print("  " + ", ".join(f"{what} {version}" for what, version in frozen.versions.items()))


def _tell_difference(difference: Difference) -> None:
    if difference.n_erased:
        print(f"  erased since: {difference.n_erased}")
    for what, names in (
        ("no longer in the population", difference.gone),
        ("new in the population", difference.joined),
        ("changed patients", difference.changed),
        ("changed columns", difference.columns),
    ):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            print(f"  {what}: {len(names)}: {', '.join(names[:SHOWN])}{more}")
