"""The review page: a person's look at labels and segmentations, kept as result shards."""
