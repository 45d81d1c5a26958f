from __future__ import annotations

from typing import Any

import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.outputs import LA, Outputs

TISSUES = ("outside", "csf", "grey", "white", "lesion", "infarct")
SIX = Outputs(TISSUES, ((LA, ("lesion",)), ("infarct", ("infarct",)), ("brain", TISSUES[2:])))


def test_two_classes_are_the_default_and_give_la() -> None:
    assert Outputs().names == (LA,)
    assert Outputs().channels == [[1]]


def test_structures_are_unions_of_classes_in_their_order() -> None:
    assert SIX.names == (LA, "infarct", "brain")
    assert SIX.channels == [[4], [5], [2, 3, 4, 5]]
    assert Outputs.from_card(SIX.as_card()) == SIX


@pytest.mark.parametrize(
    "section",
    [
        None,
        {"classes": ["background", "la"]},
        {"classes": "la", "structures": []},
        {"classes": ["background", "la"], "structures": [{"name": "la", "classes": ["lesion"]}]},
        {"classes": ["background", "la"], "structures": [{"name": "la", "classes": ["background", "la"]}]},
        {"classes": ["background", "la"], "structures": []},
        {"classes": ["la", "la"], "structures": [{"name": "la", "classes": ["la"]}]},
        {"classes": [0, 1], "structures": [{"name": "la", "classes": [1]}]},
    ],
)
def test_cards_that_do_not_say_what_the_network_gives_are_refused(section: Any) -> None:
    with pytest.raises(InputError):
        Outputs.from_card(section)
