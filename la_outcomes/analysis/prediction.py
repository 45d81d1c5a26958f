"""Prediction: the names that analyses import."""

from la_outcomes.analysis.calibration import Calibration, NetBenefit, calibration, net_benefit
from la_outcomes.analysis.cutoff import CutOff, CutOffPerformance, apply_cutoff, choose_cutoff
from la_outcomes.analysis.optimism import (
    Optimism,
    binary_performance,
    optimism_bootstrap,
    ordinal_performance,
)
from la_outcomes.analysis.ordinal_concordance import (
    Concordance,
    ConcordanceDifference,
    compare_concordance,
    concordance,
)
from la_outcomes.analysis.reclassification import Discrimination, NetReclassification, idi, nri
from la_outcomes.analysis.roc import RocArea, RocComparison, auc, compare_auc

__all__ = [
    "Calibration",
    "Concordance",
    "ConcordanceDifference",
    "CutOff",
    "CutOffPerformance",
    "Discrimination",
    "NetBenefit",
    "NetReclassification",
    "Optimism",
    "RocArea",
    "RocComparison",
    "apply_cutoff",
    "auc",
    "binary_performance",
    "calibration",
    "choose_cutoff",
    "compare_auc",
    "compare_concordance",
    "concordance",
    "idi",
    "net_benefit",
    "nri",
    "optimism_bootstrap",
    "ordinal_performance",
]
