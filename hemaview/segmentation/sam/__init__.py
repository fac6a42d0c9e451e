"""MedSAM and SAM ViT-B: loading, pre-processing, the fast encoder, its cache, and the engine."""
