"""Formats that are known and not opened, so that each is refused by its name and with what to do instead."""

from __future__ import annotations

from hemaview.errors import ScanError

_TO_NIFTI = "convert it to NIfTI with the software it comes from and open that"
_ORIGINAL = "open the scan it was made from"
_UNPACK = "unpack it and open the result"

_BY_FIRST_BYTES = (
    (b"mrtrix image", "an MRtrix image", "convert it to NIfTI (mrconvert scan.mif scan.nii.gz) and open that"),
    (b"mrtrix tracks", "a set of nerve fibre tracks", _ORIGINAL),
    (b"TRACK\0", "a set of nerve fibre tracks", _ORIGINAL),
    (b"MATRIX7", "an ECAT file of a PET scanner", "open the CT or MR scan"),
    (b"# vtk DataFile", "a VTK file", "save it as NIfTI or MetaImage and open that"),
    (b"<VTKFile", "a VTK file", "save it as NIfTI or MetaImage and open that"),
    (b'<?xml version="1.0"?>\n<VTKFile', "a VTK file", "save it as NIfTI or MetaImage and open that"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", _TO_NIFTI),
    (b"\xff\xff\xfe", "a FreeSurfer surface", _ORIGINAL),
    (b"\x89PNG", "a picture (PNG) without voxel sizes", _ORIGINAL),
    (b"\xff\xd8\xff", "a picture (JPEG) without voxel sizes", _ORIGINAL),
    (b"GIF8", "a picture (GIF) without voxel sizes", _ORIGINAL),
    (b"BM", "a picture (BMP) without voxel sizes", _ORIGINAL),
    (b"II*\0", "a picture (TIFF) without voxel sizes", _ORIGINAL),
    (b"MM\0*", "a picture (TIFF) without voxel sizes", _ORIGINAL),
    (b"%PDF", "a PDF document", _ORIGINAL),
    (b"Rar!", "a packed archive (RAR)", _UNPACK),
    (b"7z\xbc\xaf", "a packed archive (7z)", _UNPACK),
    (b"BZh", "a packed file (bzip2)", _UNPACK),
    (b"\xfd7zXZ", "a packed file (xz)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a packed file (zstd)", _UNPACK),
    (b"\x1f\x9d", "a packed file (.Z)", _UNPACK),
)
_GIPL = (b"\xef\xff\xe9\xb0", b"\x2a\xe3\x89\xb8")
_GIPL_AT = 252
_TAR_AT = 257


def foreign_format(name: str, start: bytes) -> ScanError | None:
    """The refusal of a file whose first bytes (at least 300, unpacked) are of a known kind; None for any other."""
    for magic, kind, advice in _BY_FIRST_BYTES:
        if start.startswith(magic):
            return _refusal(name, kind, advice)
    if start[_GIPL_AT : _GIPL_AT + 4] in _GIPL:
        return _refusal(name, "a GIPL image", _TO_NIFTI)
    if start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return _refusal(name, "a packed archive (tar)", _UNPACK)
    if b"<GIFTI" in start[:1024]:
        return _refusal(name, "a GIFTI surface", _ORIGINAL)
    return None


def _refusal(name: str, kind: str, advice: str) -> ScanError:
    return ScanError(f"'{name}' is {kind}, which HEMAVIEW does not open; {advice}.")
