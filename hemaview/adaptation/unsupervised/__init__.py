"""Fitting a net to another scanner's images without labels, and the experiment that measures what it brings."""
