"""The bundled compact model: coarse in 3D, then a tiny SAM in 2D."""
