"""What a network gives: its classes, and the structures that a bundle makes of them.

A network tells its classes apart (background and LA; or outside, CSF, grey, white, lesion, infarct). A
structure is the union of some of them. The exported network gives one channel a structure, its log odds:
ln P(structure) - ln P(everything else), above 0 where the structure is likelier than not. With two classes
this is the difference of their logits. One channel a structure is all that need be resampled.

Structures that are put to use by name: "la" on CT, "wmh" on FLAIR, "infarct" (old or acute), "brain" (all
inside the skull, CSF too) and "parenchyma" (brain without CSF).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from la_outcomes.errors import InputError

LA = "la"
WMH = "wmh"
INFARCT = "infarct"
BRAIN = "brain"
PARENCHYMA = "parenchyma"


@dataclass(frozen=True)
class Outputs:
    """Classes in the order of the network's channels, and (name, classes of it) of each structure.

    Raises ``InputError`` where names are doubled or empty, or a structure is not a part of the classes.
    """

    classes: tuple[str, ...] = ("background", LA)
    structures: tuple[tuple[str, tuple[str, ...]], ...] = ((LA, (LA,)),)

    def __post_init__(self) -> None:
        for names in (self.classes, self.names, *[members for _, members in self.structures]):
            if not names or len(set(names)) != len(names) or not all(names):
                raise InputError(f"names of a model's outputs must be given once each: {', '.join(names)}")
        for name, members in self.structures:
            if not set(members) < set(self.classes):
                raise InputError(
                    f"{name} must be some of the model's classes, not {', '.join(members)}",
                    hint=f"classes: {', '.join(self.classes)}",
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the structures, in the order of the exported network's channels."""
        return tuple(name for name, _ in self.structures)

    @property
    def channels(self) -> list[list[int]]:
        """The network's channels that make up each structure."""
        return [[self.classes.index(member) for member in members] for _, members in self.structures]

    def as_card(self) -> dict[str, Any]:
        """The card's section on outputs."""
        structures = [{"name": name, "classes": list(members)} for name, members in self.structures]
        return {"classes": list(self.classes), "structures": structures}

    @classmethod
    def from_card(cls, section: object) -> Outputs:
        """Read the card's section; raises ``InputError`` where it is none."""
        try:
            found: Any = section
            structures = tuple((s["name"], _names(s["classes"])) for s in found["structures"])
            return cls(_names(found["classes"]), structures)
        except (KeyError, TypeError) as error:
            raise InputError("the model card does not say what the network gives") from error


def _names(values: Sequence[object]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError("names must be a list of text")
    return tuple(str(value) for value in values)
