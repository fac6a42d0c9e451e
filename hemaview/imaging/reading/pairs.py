"""Formats that keep header and voxels in two files side by side; the user may open either."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.reading.files import access_error

_HEADER_OF = {".img": ".hdr", ".brik": ".head", ".rec": ".par"}
"""Suffix of the voxels' file to that of its header."""


def header_of(path: Path) -> Path:
    """The header that belongs to a file of voxels; any other path as it is. Raises ``ScanError`` when it is missing."""
    stem, suffix = _split(path)
    wanted = _HEADER_OF.get(suffix)
    return path if wanted is None else _beside(path, stem, wanted, "header")


def voxels_of(header: Path) -> Path:
    """The file of voxels that belongs to a header. Raises ``ScanError`` when it is missing."""
    stem, suffix = _split(header)
    wanted = next((data for data, head in _HEADER_OF.items() if head == suffix), None)
    return header if wanted is None else _beside(header, stem, wanted, "image")


def is_voxels_half(path: Path) -> bool:
    """Whether ``path`` holds the voxels of a header that lies beside it."""
    stem, suffix = _split(path)
    return suffix in _HEADER_OF and bool(_found_beside(path, stem, _HEADER_OF[suffix]))


def voxels_halves(names: Iterable[str]) -> set[str]:
    """Those of ``names``, with or without folders, that are the voxels of a header also among them."""
    given = list(names)
    known = {name.lower() for name in given}
    halves = set()
    for name in given:
        stem, suffix = _split(Path(name))
        folder = name[: len(name) - len(Path(name).name)]
        header = f"{folder}{stem}{_HEADER_OF.get(suffix, '')}".lower()
        if suffix in _HEADER_OF and {header, f"{header}.gz"} & known:
            halves.add(name)
    return halves


def _split(path: Path) -> tuple[str, str]:
    """Name without suffix, and the suffix in lower case, both without .gz."""
    bare = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    dot = bare.rfind(".")
    return (bare, "") if dot < 0 else (bare[:dot], bare[dot:].lower())


def _beside(path: Path, stem: str, suffix: str, half: str) -> Path:
    found = _found_beside(path, stem, suffix)
    if not found:
        packed = ".gz" if path.name.lower().endswith(".gz") else ""
        wanted = suffix.upper() if path.name.removesuffix(".gz")[-1:].isupper() else suffix
        raise ScanError(
            f"'{path.name}' is one half of a pair and its {half} file '{stem}{wanted}{packed}' is missing; "
            "put both into one folder."
        )
    # On a disk that tells case apart, A.img belongs to A.hdr before a.hdr.
    return min(found, key=lambda p: (not p.name.startswith(stem), p.name))


def _found_beside(path: Path, stem: str, suffix: str) -> list[Path]:
    wanted = {f"{stem}{suffix}".lower(), f"{stem}{suffix}.gz".lower()}
    try:
        return [p for p in path.parent.iterdir() if p.name.lower() in wanted and p.is_file()]
    except OSError as error:
        raise access_error(path.name, error) from error
