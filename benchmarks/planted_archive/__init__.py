"""A simulated hospital archive in which it is known what each series is."""
