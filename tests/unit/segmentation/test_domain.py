"""Distance from the known heads."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.domain import FIGURES, Domain, fit_domain

TYPICAL = {
    "brain_agreement": 0.97,
    "parenchyma_share": 0.85,
    "unsure_share": 0.05,
    "fat_share": 0.12,
    "middle_hu": 30.0,
    "spread_hu": 20.0,
}


def heads(n: int, seed: int = 0) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    return [{name: value * (1 + 0.01 * rng.normal()) for name, value in TYPICAL.items()} for _ in range(n)]


def test_known_heads_lie_within_one_and_the_least_usual_at_one() -> None:
    known = heads(40)
    domain = fit_domain(known)
    apart = [domain.unlikeness(head) for head in known]
    assert max(apart) == pytest.approx(1.0)
    assert np.mean([domain.unlikeness(head) < 1.5 for head in heads(200, seed=1)]) > 0.95


@pytest.mark.parametrize(
    ("name", "value"),
    [("brain_agreement", 0.3), ("parenchyma_share", 0.2), ("unsure_share", 0.5),
     ("fat_share", 0.0), ("middle_hu", 50.0), ("spread_hu", 60.0)],
)  # fmt: skip
def test_each_figure_alone_can_make_a_scan_unlike(name: str, value: float) -> None:
    domain = fit_domain(heads(40))
    odd = {**TYPICAL, name: value}
    assert domain.unlikeness(odd) > domain.refuse_above
    assert domain.oddest(odd).startswith(FIGURES[name])


def test_a_head_without_its_skull_is_not_judged_by_its_fat() -> None:
    domain = fit_domain([*heads(40), {**TYPICAL, "fat_share": float("nan")}])
    bare = {**TYPICAL, "fat_share": float("nan")}
    assert domain.unlikeness(bare) < 1
    assert domain.unlikeness({**bare, "parenchyma_share": 0.2}) > domain.refuse_above
    assert "CSF" in domain.oddest({**bare, "parenchyma_share": 0.2})


def test_a_domain_survives_its_card_and_a_broken_one_is_refused() -> None:
    domain = fit_domain(heads(40))
    values = asdict(domain)
    assert Domain.from_card(values) == domain
    for broken in ({}, {**values, "mean": [1.0]}, {**values, "largest": 0.0}, {**values, "low": "x"}):
        with pytest.raises(InputError):
            Domain.from_card(broken)


def test_too_few_or_unvarying_heads_are_refused() -> None:
    with pytest.raises(InputError, match="at least 20"):
        fit_domain(heads(10))
    with pytest.raises(InputError, match="do not vary"):
        fit_domain([TYPICAL] * 30)
