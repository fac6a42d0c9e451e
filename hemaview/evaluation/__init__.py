"""Metrics, baselines and the comparison of engines on real scans."""
