"""Patients who withdraw: taken out of registry, shards, pictures and exports, and kept out for good."""
