"""Synthetic lesions over healthy templates, and the training of the bundled model on them."""
