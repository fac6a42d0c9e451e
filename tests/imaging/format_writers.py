"""Writers of one volume in the formats outside DICOM, each by the format's own rules or by another library."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy.io import netcdf_file

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MINC_AXES = ("xspace", "yspace", "zspace")


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    """Write int16 ``values[i, j, k]`` with an affine to RAS mm in the format that ``path`` is named after."""
    name = path.name.lower()
    bare = name.removesuffix(".gz")
    if bare.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        _write_itk(path, values, affine)
    elif bare.endswith(".mnc1"):
        write_minc1(path, values, affine)
    elif bare.endswith(".mnc2"):
        write_minc2(path, values, affine)
    elif bare.endswith(".head"):
        write_afni(path, values[..., None], affine)
    elif bare.endswith((".mgh", ".mgz")):
        nib.save(nib.MGHImage(values, affine), path)
    elif bare.endswith((".hdr", ".img")):
        nib.save(nib.Nifti1Pair(values, affine), path)
    else:
        nib.save(nib.Nifti1Image(values, affine), path)
    return path


def _write_itk(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    matrix = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path))


def minc_axes(affine: np.ndarray) -> dict[str, dict[str, object]]:
    """Step, start and direction cosines of the three axes that give ``affine``."""
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / steps
    starts = np.linalg.solve(cosines, affine[:3, 3])
    return {
        name: {"step": steps[n], "start": starts[n], "direction_cosines": cosines[:, n], "spacing": b"regular__"}
        for n, name in enumerate(MINC_AXES)
    }


def write_minc1(path: Path, values: np.ndarray, affine: np.ndarray, axes: dict | None = None) -> None:
    """``values[i, j, k]`` as a NetCDF file whose image has the axes z, y, x and one range for all voxels."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    with netcdf_file(plain, "w") as file:
        order = MINC_AXES[::-1]
        for name, count in zip(order, values.shape[::-1], strict=True):
            file.createDimension(name, count)
        for name, facts in (axes or minc_axes(affine)).items():
            variable = file.createVariable(name, "i", ())
            for key, fact in facts.items():
                setattr(variable, key, fact)
        image = file.createVariable("image", "h", order)
        image.signtype = b"signed__"
        image.valid_range = np.array([-32768.0, 32767.0])
        image[:] = values.T
        for name, value in (("image-min", -32768.0), ("image-max", 32767.0)):
            file.createVariable(name, "d", ()).data[...] = value
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


def write_minc2(path: Path, values: np.ndarray, affine: np.ndarray, axes: dict | None = None) -> None:
    """``values[i, j, k]`` as an HDF5 file whose image has the axes z, y, x and a range for every slice."""
    with h5py.File(path, "w") as file:
        for name, facts in (axes or minc_axes(affine)).items():
            axis = file.create_dataset(f"minc-2.0/dimensions/{name}", data=0)
            for key, fact in facts.items():
                axis.attrs[key] = np.bytes_(fact) if isinstance(fact, bytes) else fact
        image = file.create_dataset("minc-2.0/image/0/image", data=values.T)
        image.attrs["dimorder"] = np.bytes_(",".join(MINC_AXES[::-1]))
        image.attrs["valid_range"] = [-32768.0, 32767.0]
        for name, value in (("image-min", -32768.0), ("image-max", 32767.0)):
            limits = file.create_dataset(f"minc-2.0/image/0/{name}", data=np.full(values.shape[2], value))
            limits.attrs["dimorder"] = np.bytes_("zspace")


def write_afni(
    path: Path, values: np.ndarray, affine: np.ndarray, *, factors=None, big_endian=False, packed=False, **changed: str
) -> None:
    """``values[i, j, k, image]`` as .HEAD and .BRIK; ``changed`` replaces attributes of the header by text."""
    matrix = (RAS_TO_LPS @ affine)[:3]
    images = values.shape[3]
    attributes = {
        "TYPESTRING": "'3DIM_HEAD_ANAT~",
        "DATASET_RANK": f"3 {images} 0 0 0 0 0 0",
        "DATASET_DIMENSIONS": " ".join(map(str, values.shape[:3])) + " 0 0",
        "BRICK_TYPES": " ".join(["1"] * images),
        "BRICK_FLOAT_FACS": " ".join(map(str, factors or [0.0] * images)),
        "BYTEORDER_STRING": "'MSB_FIRST~" if big_endian else "'LSB_FIRST~",
        "DELTA": " ".join(f"{n:.9g}" for n in np.linalg.norm(matrix[:, :3], axis=0)),
        "IJK_TO_DICOM_REAL": " ".join(f"{n:.9g}" for n in matrix.ravel()),
        **changed,
    }
    kinds = {"BRICK_FLOAT_FACS": "float", "DELTA": "float", "IJK_TO_DICOM_REAL": "float"}
    blocks = []
    for name, text in attributes.items():
        kind = "string" if text.startswith("'") else kinds.get(name, "integer")
        count = len(text) - 1 if kind == "string" else len(text.split())
        blocks.append(f"type = {kind}-attribute\nname = {name}\ncount = {count}\n{text}\n")
    path.write_text("\n" + "\n".join(blocks))
    data = np.asfortranarray(values).astype(">i2" if big_endian else "<i2").tobytes(order="F")
    brick = path.with_suffix(".BRIK")
    if packed:
        brick.with_name(f"{brick.name}.gz").write_bytes(gzip.compress(data))
    else:
        brick.write_bytes(data)


PAR_COLUMNS = (
    "slice number                             (integer)",
    "echo number                              (integer)",
    "dynamic scan number                      (integer)",
    "cardiac phase number                     (integer)",
    "image_type_mr                            (integer)",
    "scanning sequence                        (integer)",
    "index in REC file (in images)            (integer)",
    "image pixel size (in bits)               (integer)",
    "scan percentage                          (integer)",
    "recon resolution (x y)                   (2*integer)",
    "rescale intercept                        (float)",
    "rescale slope                            (float)",
    "scale slope                              (float)",
    "window center                            (integer)",
    "window width                             (integer)",
    "image angulation (ap,fh,rl in degrees )  (3*float)",
    "image offcentre (ap,fh,rl in mm )        (3*float)",
    "slice thickness (in mm )                 (float)",
    "slice gap (in mm )                       (float)",
    "image_display_orientation                (integer)",
    "slice orientation ( TRA/SAG/COR )        (integer)",
    "fmri_status_indication                   (integer)",
    "image_type_ed_es  (end diast/end syst)   (integer)",
    "pixel spacing (x,y) (in mm)              (2*float)",
    "echo_time                                (float)",
    "dyn_scan_begin_time                      (float)",
    "trigger_time                             (float)",
    "diffusion_b_factor                       (float)",
    "number of averages                       (integer)",
    "image_flip_angle (in degrees)            (float)",
    "cardiac frequency   (bpm)                (integer)",
    "minimum RR-interval (in ms)              (integer)",
    "maximum RR-interval (in ms)              (integer)",
    "TURBO factor  <0=no turbo>               (integer)",
    "Inversion delay (in ms)                  (float)",
    "diffusion b value number    (imagekey!)  (integer)",
    "gradient orientation number (imagekey!)  (integer)",
    "contrast type                            (string)",
    "diffusion anisotropy type                (string)",
    "diffusion (ap, fh, rl)                   (3*float)",
    "label type (ASL)            (imagekey!)  (integer)",
)


def write_par(
    path: Path,
    values: np.ndarray,
    *,
    spacing=(0.9, 0.9, 5.0),
    gap=1.0,
    centre=(3.0, 20.0, -7.0),
    slopes=None,
    order=None,
    offsets=None,
    announced=None,
) -> None:
    """Unsigned ``values[i, j, k, image]`` as an axial, unrotated .PAR (version 4.2) and its .REC.

    ``spacing`` is in-plane, in-plane and slice thickness; ``centre`` of the stack in AP, FH, RL; ``slopes`` one per
    line, ``order`` the number in the REC file of each line; ``offsets`` moves slices along the head, ``announced`` is
    the number of dynamics the header promises.
    """
    i, j, k, images = values.shape
    lines = k * images
    order = list(range(lines)) if order is None else order
    slopes = [1.0] * lines if slopes is None else slopes
    step = spacing[2] + gap
    rows = []
    pictures = np.zeros((lines, j, i), dtype="<u2")
    for line in range(lines):
        image, slice_ = divmod(line, k)
        place = centre[1] + (slice_ - (k - 1) / 2) * step + (offsets[slice_] if offsets else 0)
        pictures[order[line]] = values[:, :, slice_, image].T
        rows.append(
            f"{slice_ + 1} 1 {image + 1} 1 0 2 {order[line]} 16 100 {i} {j} 0.0 {slopes[line]} 0.5 500 900 "
            f"0.0 0.0 0.0 {centre[0]} {place:.4f} {centre[2]} {spacing[2]} {gap} 0 1 0 2 {spacing[0]} {spacing[1]} "
            "30.0 0.0 0.0 0.0 1 90.0 0 0 0 39 0.0 1 1 8 0 0.0 0.0 0.0 1"
        )
    general = {
        "Patient name": "Secret Person",
        "Examination name": "exam",
        "Protocol name": "T2 head",
        "Examination date/time": "2014.02.14 / 09:00:57",
        "Series Type": "Image   MRSERIES",
        "Acquisition nr": "2",
        "Reconstruction nr": "1",
        "Scan Duration [sec]": "14",
        "Max. number of cardiac phases": "1",
        "Max. number of echoes": "1",
        "Max. number of slices/locations": str(k),
        "Max. number of dynamics": str(announced or images),
        "Max. number of mixes": "1",
        "Patient position": "Head First Supine",
        "Preparation direction": "Anterior-Posterior",
        "Technique": "TSE",
        "Scan resolution  (x, y)": f"{i}  {j}",
        "Scan mode": "MS",
        "Repetition time [ms]": "2000.0",
        "FOV (ap,fh,rl) [mm]": f"{j * spacing[1]} {k * step} {i * spacing[0]}",
        "Water Fat shift [pixels]": "11.0",
        "Angulation midslice(ap,fh,rl)[degr]": "0.0 0.0 0.0",
        "Off Centre midslice(ap,fh,rl) [mm]": f"{centre[0]} {centre[1]} {centre[2]}",
        "Flow compensation <0=no 1=yes> ?": "0",
        "Presaturation     <0=no 1=yes> ?": "0",
        "Phase encoding velocity [cm/sec]": "0.0 0.0 0.0",
        "MTC               <0=no 1=yes> ?": "0",
        "SPIR              <0=no 1=yes> ?": "0",
        "EPI factor        <0,1=no EPI>": "1",
        "Dynamic scan      <0=no 1=yes> ?": "1",
        "Diffusion         <0=no 1=yes> ?": "0",
        "Diffusion echo time [ms]": "0.0",
        "Max. number of diffusion values": "1",
        "Max. number of gradient orients": "1",
        "Number of label types   <0=no ASL>": "0",
    }
    text = [
        "# === DATA DESCRIPTION FILE ======",
        "#",
        "# CLINICAL TRYOUT             Research image export tool     V4.2",
        "#",
        "# === GENERAL INFORMATION ========",
        *(f".    {name:<35}:   {value}" for name, value in general.items()),
        "# === IMAGE INFORMATION DEFINITION =====",
        "#  The rest of this file contains ONE line per image, this line contains the following information:",
        "#",
        *(f"#  {column}" for column in PAR_COLUMNS),
        "#",
        "# === IMAGE INFORMATION ==========",
        "#  sl ec",
        "",
        *(f"  {row}" for row in rows),
        "",
        "# === END OF DATA DESCRIPTION FILE ======",
    ]
    path.write_text("\n".join(text) + "\n")
    path.with_suffix(".REC").write_bytes(pictures.tobytes())
