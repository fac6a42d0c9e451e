"""Fitting a model to a hospital's own scans: what it learns from, the loop, and whether it became better."""
