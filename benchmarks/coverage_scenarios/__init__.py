"""Simulated cohorts with known effects, one file a subject; see ``benchmarks/coverage.py``."""
