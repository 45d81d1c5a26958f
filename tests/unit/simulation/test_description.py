"""The documented diagram and coefficients are those of the parameters."""

from __future__ import annotations

from pathlib import Path

from la_outcomes.simulation.description import coefficients, diagram, edges, page
from la_outcomes.simulation.parameters import load_parameters

CLINICAL = load_parameters()["clinical"]
PAGE = Path(__file__).parents[3] / "docs" / "simulator_patients.md"


def test_the_page_in_docs_is_the_one_the_parameters_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(load_parameters()), (
        "write it anew: python -m la_outcomes.simulation.description > docs/simulator_patients.md"
    )


def test_the_diagram_has_no_cycle_and_the_arrows_that_matter() -> None:
    found = edges(CLINICAL)
    assert {
        ("age", "tissue"),
        ("tissue", "mrs"),
        ("infarct", "ct"),
        ("nihss", "mri"),
        ("risk", "mrs"),
    } <= set(found)
    left = {node for edge in found for node in edge}
    while left:
        sources = {node for node in left if not any(b == node and a in left for a, b in found)}
        assert sources, f"a cycle among {left}"
        left -= sources
    assert all(f"{a} --> {b}" in diagram(CLINICAL) for a, b in found)


def test_a_coefficient_that_appears_draws_its_arrow() -> None:
    assert ("tissue", "mri") not in edges(CLINICAL)
    with_new = {**CLINICAL, "mri": {**CLINICAL["mri"], "tissue_sd": 0.3}}
    assert ("tissue", "mri") in edges(with_new)
    assert "tissue_sd +0.3" in coefficients(with_new)
