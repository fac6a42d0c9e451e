"""Small files that fit a model to other scans: low-rank corrections, statistics, and a refining layer."""
