"""Speed of the statistics, one thread, all in the same run; prints one line a claim, in CPU seconds.

    python benchmarks/statistics.py [--rows 100000] [--million 1000000] [--replicates 1000]
                                    [--without-statsmodels]

Proportional odds at ROWS x 12 x 7 levels against statsmodels, and R (ordinal::clm, rms::lrm) where Rscript is
installed; a cohort of 867; bootstrap of 20 imputations in 2 processes; imputing inside the bootstrap; and a
million rows with the peak of memory.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics``.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.analysis.missing import bootstrap_imputed, bootstrap_then_impute, fit_imputed, impute
from la_outcomes.analysis.ordinal import ProportionalOddsFit, fit_proportional_odds

TERMS = [f"x{j}" for j in range(12)]
R_SCRIPT = """
d <- read.csv(commandArgs(TRUE)[1]); d$y <- factor(d$y); f <- y ~ {terms}
out <- list()
if (requireNamespace("ordinal", quietly = TRUE)) {{
  t <- sum(system.time(m <- ordinal::clm(f, data = d))[1:2])
  out$clm <- list(seconds = t, loglik = as.numeric(logLik(m)), coef = unname(m$beta))
}}
if (requireNamespace("rms", quietly = TRUE)) {{
  t <- sum(system.time(m <- rms::lrm(f, data = d))[1:2])
  out$lrm <- list(seconds = t, loglik = as.numeric(logLik(m)), coef = unname(tail(coef(m), 12)))
}}
entry <- function(e) sprintf('{{"seconds": %.4f, "loglik": %.10f, "coef": [%s]}}', e$seconds, e$loglik,
                             paste(sprintf("%.15g", e$coef), collapse = ","))
cat("{{", paste(sprintf('"%s": %s', names(out), sapply(out, entry)), collapse = ","), "}}")
"""


def cohort(n: int, seed: int = 0) -> pd.DataFrame:
    """n rows, 12 correlated columns, an outcome of 7 levels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 12)) + 0.5 * rng.normal(size=(n, 1))
    latent = x @ rng.normal(0, 0.3, 12) + rng.logistic(size=n)
    frame = pd.DataFrame(x, columns=TERMS)
    frame["y"] = np.digitize(latent, np.quantile(latent, np.arange(1, 7) / 7))
    return frame


def cpu_seconds() -> float:
    """CPU seconds of this process and of its finished children."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """CPU seconds of the fastest of ``repeats`` runs, and the last result."""
    best = np.inf
    for _ in range(repeats):
        start = cpu_seconds()
        result = work()
        best = min(best, cpu_seconds() - start)
    return float(best), result


def fit(frame: pd.DataFrame) -> ProportionalOddsFit:
    """The proportional-odds model of the benchmark."""
    return fit_proportional_odds(frame, "y", TERMS)


def against_statsmodels(frame: pd.DataFrame, ours: ProportionalOddsFit, seconds: float) -> None:
    """Time statsmodels' OrderedModel (BFGS, logit) on the same rows and compare log-likelihoods."""
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    model = OrderedModel(frame["y"], frame[TERMS], distr="logit")
    theirs, result = timed(lambda: model.fit(method="bfgs", maxiter=500, disp=False))
    print(f"statsmodels OrderedModel (BFGS): {theirs:.2f} s, {theirs / seconds:.0f} times ours")
    print(f"log-likelihood, ours minus statsmodels: {ours.loglik - result.llf:+.2e}")


def against_r(frame: pd.DataFrame, ours: ProportionalOddsFit, seconds: float) -> None:
    """Time R's fits on the same rows and print the largest difference in standard errors."""
    if shutil.which("Rscript") is None:
        print("R: not installed, not compared")
        return
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "rows.csv", Path(folder) / "fit.R"
        frame.to_csv(table, index=False, float_format="%.17g")
        script.write_text(R_SCRIPT.format(terms=" + ".join(TERMS)))
        done = subprocess.run(["Rscript", script, table], capture_output=True, text=True, check=True)
    estimates, errors = ours.coefficients["estimate"].to_numpy(), ours.coefficients["se"].to_numpy()
    for name, result in json.loads(done.stdout).items():
        distance = np.abs((np.array(result["coef"]) - estimates) / errors).max()
        print(f"R {name}: {result['seconds']:.2f} s, {result['seconds'] / seconds:.1f} times ours, ", end="")
        print(f"largest difference {distance:.1e} standard errors")


def imputed_bootstraps(replicates: int) -> None:
    """20 imputations x ``replicates`` bootstraps of n = 867; then imputing inside the bootstrap."""
    frame = cohort(867)
    rng = np.random.default_rng(1)
    for name in ("x0", "x1", "x2"):
        frame.loc[rng.random(867) < 0.15, name] = np.nan
    seconds, completed = timed(lambda: impute(frame, m=20, seed=1))
    print(f"impute n = 867, 13 columns, 3 incomplete, m = 20, 10 iterations: {seconds:.1f} s")
    fitted = fit_imputed(fit, completed)
    start = time.perf_counter()
    seconds, _ = timed(lambda: bootstrap_imputed(fitted, replicates, seed=1, jobs=2))
    print(
        f"20 imputations x {replicates:,} bootstraps, 2 processes: {seconds:.1f} CPU s, {seconds / 2:.1f} s "
        f"on 2 free cores (limit 60); {time.perf_counter() - start:.1f} s by the clock"
    )
    seconds, _ = timed(lambda: bootstrap_then_impute(fit, frame, 10, 2, seed=1))
    print(
        f"imputing inside the bootstrap, m = 2: {seconds / 10:.2f} s a resample, {seconds * 20:.0f} s for 200"
    )


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--without-statsmodels", action="store_true")
    arguments = parser.parse_args()
    small = cohort(867)
    seconds, _ = timed(lambda: fit(small), repeats=20)
    print(f"proportional odds, 867 x 12 x 7: {1000 * seconds:.1f} ms")
    frame = cohort(arguments.rows)
    seconds, ours = timed(lambda: fit(frame), repeats=3)
    print(f"proportional odds, {arguments.rows:,} x 12 x 7: {seconds:.2f} s (limit 0.5 at 100,000)")
    if not arguments.without_statsmodels:
        against_statsmodels(frame, ours, seconds)
    against_r(frame, ours, seconds)
    imputed_bootstraps(arguments.replicates)
    million = cohort(arguments.million)
    seconds, _ = timed(lambda: fit(million).c_index)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"proportional odds and C, {arguments.million:,} x 12 x 7: {seconds:.1f} s, "
        f"peak memory {peak:.1f} GB (limit 8)"
    )


if __name__ == "__main__":
    main()
