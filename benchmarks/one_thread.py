"""Imported first by a benchmark: one thread for every library, so that CPU seconds can be compared."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"
