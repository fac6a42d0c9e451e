"""What must come of every file in the catalogue's sections of DICOM sets and of files that break readers.

One entry of ``ROWS`` per row of the catalogue, under the first path of that row. Every file is opened alone, with the
other half of its pair beside it; every set of DICOM files as the folder or zip it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from hemaview.imaging.reading import Verdict

M, V, R = Verdict.MEASURABLE, Verdict.VIEWABLE, Verdict.REFUSED


@dataclass(frozen=True)
class Opens:
    """A file that opens, with its size, its spacing in mm, and its lowest and highest value where they are known."""

    path: str
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    values: tuple[float, float] | None = None
    words: str = ""


@dataclass(frozen=True)
class Looks:
    """A file that can be looked at only, and words of the reason."""

    path: str
    words: str


@dataclass(frozen=True)
class Refuses:
    """A file that is refused, and words of the sentence."""

    path: str
    words: str


@dataclass(frozen=True)
class Stack:
    """One line of a listing: the part of its series (behind the # of its name), size, spacing and words said of it."""

    part: str
    verdict: Verdict
    size: tuple[int, int, int] | None
    spacing: tuple[float, float, float] | None = None
    words: str = ""


@dataclass(frozen=True)
class Lists:
    """A folder, zip or DICOMDIR and all the stacks in it in any order; it stands for every file below it."""

    path: str
    stacks: tuple[Stack, ...]


Entry = Opens | Looks | Refuses | Lists

CAPTURE = "not a CT or MR scan"
NO_PLACE = "where its pictures lie"
NOT_A_SCAN = "is not a scan that can be opened"
DAMAGED = "incomplete or damaged"
CONSTANT = "same value"
NO_SIZE = "how large the picture is"

_EPI = (72, 72, 5), (3, 3, 12), "12 mm apart but are 3 mm thick"
_TIMES = tuple(Stack(f"time-{n}", M, *_EPI) for n in (1, 2))
_GE_TIMES = tuple(Stack(f"time-{n}", M, (64, 64, 15), (3.75, 3.75, 5)) for n in range(1, 11))
_MOSAIC = (64, 64, 35), (3.25, 3.25, 3.6)
_SMALL = (64, 64, 1), (0.3125, 0.3125, 0.8), (127, 2145)
_TRIO = Stack("", M, (256, 256, 4), (1, 1, 1))

_CD = (
    Stack("", R, None, None, "no pixel data"),
    Stack("", V, (16, 16, 1), None, CAPTURE),
    *[Stack("", M, (16, 16, 1), (1.3672, 1.3672, 10))] * 3,
    Stack("", V, (16, 16, 1), None, CAPTURE),
    *[Stack(f"stretch-{part}", M, (16, 16, n), (0.4883, 0.4883, 1.25)) for part, n in ((1, 1), (2, 3))],
    *[Stack(part, M, (16, 16, 1), (1.1719, 1.1719, 10)) for part in ("axial", "coronal", "sagittal") * 2],
    Stack("", M, (16, 16, 1), (1.3672, 1.3672, 10)),
    Stack("", V, (16, 16, 1), None, CAPTURE),
    *[Stack(part, V, (16, 16, 1), None, "scout") for part in ("coronal", "sagittal")],
    Stack("", M, (16, 16, 5), (0.4883, 0.4883, 2.5)),
    Stack("", V, (16, 16, 7), None, "projection"),
)

_D2N = "d2n_small_vendor_sets"
_D2N_SETS = {
    "ge/anatomical": ((256, 256, 4), (1, 1, 1)),
    "generic/anatomical": ((64, 28, 4), (6.4, 4, 0.5)),
    "hitachi/anatomical": ((64, 64, 4), (2.3438, 2.3438, 4)),
    "hyperfine/anatomical": ((112, 138, 8), (1.59, 1.61, 5)),
    "philips/anatomical": ((240, 240, 4), (1.0417, 1.0417, 0.6)),
    "philips_enhanced/anatomical": ((256, 256, 8), (1, 1, 1.2)),
    "siemens_multiframe/anatomical": ((256, 256, 8), (0.9375, 0.9375, 0.9)),
    "siemens/anatomical": ((256, 256, 4), (1, 1, 1)),
    "generic/compressed": ((256, 256, 4), (1, 1, 1)),
}

SECTION_3: dict[str, tuple[Entry, ...]] = {
    "ge_hispeed_ct_head_tilt.zip": (
        Lists(
            "ge_hispeed_ct_head_tilt.zip",
            (
                Stack(
                    "",
                    M,
                    (512, 512, 28),
                    (0.4883, 0.4883, 5.6274),
                    "4 mm from slice 1 to 14, 1.08 mm from slice 14 to 15",
                ),
            ),
        ),
        Opens("ge_hispeed_ct_head_tilt.zip", (512, 512, 28), (0.4883, 0.4883, 5.6274), words="tilted by 18.5 degrees"),
    ),
    "philips_ct_phantom_multiseries_dicomdir.zip": (
        Lists(
            "philips_ct_phantom_multiseries_dicomdir.zip",
            (
                Stack("", V, (512, 256, 1), None, "scout"),
                Stack("", M, (512, 512, 28), (0.4512, 0.4512, 5)),
                Stack("512x256", V, (512, 256, 3), None, CAPTURE),
                Stack("650x512", V, (650, 512, 2), None, CAPTURE),
                Stack("650x741", V, (650, 741, 1), None, CAPTURE),
            ),
        ),
        Opens("philips_ct_phantom_multiseries_dicomdir.zip", (512, 512, 28), (0.4512, 0.4512, 5), (-1024, 782)),
    ),
    "hanke_t1w_7T_oblique_384.zip": (
        Lists("hanke_t1w_7T_oblique_384.zip", (Stack("", M, (274, 384, 384), (0.7, 0.6667, 0.6667)),)),
        Refuses("hanke_t1w_7T_README.md", NOT_A_SCAN),
    ),
    "nih_ge_siemens_epi_multiseries.zip": (
        Lists("nih_ge_siemens_epi_multiseries.zip", (*_TIMES, *_GE_TIMES, *_TIMES, *_TIMES, *_TIMES)),
    ),
    "philips_swi_mag_phase_mixed.zip": (
        Lists(
            "philips_swi_mag_phase_mixed.zip",
            tuple(Stack(part, M, (768, 768, 2), (0.2995, 0.2995, 1)) for part in ("magnitude", "phase")),
        ),
        Opens("philips_swi_mag_phase_mixed.zip", (768, 768, 2), (0.2995, 0.2995, 1), (0, 992.37), "one of 2 series"),
    ),
    "siemens_xa30_t1w_jpegll_fragmented.zip": (
        Lists("siemens_xa30_t1w_jpegll_fragmented.zip", (Stack("", M, (128, 128, 96), (2, 2, 2)),)),
        Opens("siemens_xa30_t1w_jpegll_fragmented.zip", (128, 128, 96), (2, 2, 2), (0, 2712)),
    ),
    "enhanced_multiframe/6_{1..4}.dcm": (
        Lists(
            "enhanced_multiframe",
            (
                *[Stack(f"time-{n}", M, (64, 64, 6), (3.375, 3.375, 2.4)) for n in (1, 2, 3, 4)],
                Stack("magnitude", M, (64, 64, 32), (4, 4, 4)),
                Stack("real", M, (64, 64, 32), (4, 4, 4)),
            ),
        ),
        Opens("enhanced_multiframe/6_3.dcm", (64, 64, 6), (3.375, 3.375, 2.4)),
        Opens("enhanced_multiframe/IM_0027_fMAP.dcm", (64, 64, 32), (4, 4, 4), (0, 2548.2)),
    ),
    f"{_D2N}/**": (
        *[Lists(f"{_D2N}/{name}", (Stack("", M, *grid),)) for name, grid in _D2N_SETS.items()],
        *[Lists(f"{_D2N}/generic/compressed_{kind}", (_TRIO,)) for kind in ("j2k", "jpeg", "jpegls", "rle")],
        Lists(f"{_D2N}/generic/rgb", (Stack("", V, (52, 77, 4), None, CAPTURE),)),
    ),
    "dcmqi_ct_seg/": (
        Lists(
            "dcmqi_ct_seg",
            (
                Stack("", R, None, None, "Segmentation"),
                Stack("", M, (512, 512, 3), (0.8105, 0.8105, 1), "1 mm apart but are 1.25 mm thick"),
                Stack("", R, None, None, "Segmentation"),
                Stack("", R, None, None, CAPTURE),
            ),
        ),
        Opens("dcmqi_ct_seg", (512, 512, 3), (0.8105, 0.8105, 1), (-1024, 1381)),
        Opens("dcmqi_ct_seg/liver_seg.nrrd", (512, 512, 3), (0.8105, 0.8105, 1), (0, 1)),
        *[Refuses(f"dcmqi_ct_seg/{n}.dcm", CAPTURE) for n in ("liver", "partial_overlaps", "sparse-labelmap-noppv")],
    ),
}

_NIIVUE = "nifti_niivue"
_PYDICOM = "dicom_pydicom"
_DATA = "dicom_pydicom_data"

SECTION_5: dict[str, tuple[Entry, ...]] = {
    f"{_NIIVUE}/nifti_space_48/*.nii.gz": (
        *[Opens(f"{_NIIVUE}/nifti_space_48/{n}.nii.gz", (64, 79, 67), (2.385, 2.39, 2.366)) for n in ("RAS", "LPI")],
    ),
    f"{_NIIVUE}/complex.nii.gz": (
        Opens(f"{_NIIVUE}/complex.nii.gz", (64, 64, 44), (3.297, 3.297, 3.3), (0, 2.7131e7), "magnitude"),
    ),
    f"{_NIIVUE}/{{minimal,low_res}}.nii.gz": (
        Opens(f"{_NIIVUE}/minimal.nii.gz", (64, 64, 10), (3, 3, 3), (0, 63)),
        Opens(f"{_NIIVUE}/low_res.nii.gz", (7, 5, 3), (2, 2, 2), (0, 1)),
    ),
    f"{_NIIVUE}/LAS_drawing_{{correct,incorrect}}.nii.gz": (
        Opens(f"{_NIIVUE}/LAS_drawing_correct.nii.gz", (64, 79, 67), (2.385, 2.39, 2.366), (0, 1)),
        Opens(f"{_NIIVUE}/LAS_drawing_incorrect.nii.gz", (64, 79, 67), (2.385, 2.39, 2.366), (0, 1)),
    ),
    f"{_NIIVUE}/{{draw,labels256,hippo,avg152T1_RL_nifti,spmMotor}}.nii.gz": (
        Opens(f"{_NIIVUE}/draw.nii.gz", (79, 67, 64), (2.39, 2.366, 2.385), (0, 2)),
        Opens(f"{_NIIVUE}/labels256.nii.gz", (256, 256, 256), (1, 1, 1), (0, 2)),
        Opens(f"{_NIIVUE}/hippo.nii.gz", (91, 109, 91), (2, 2, 2), (0, 9)),
        Opens(f"{_NIIVUE}/avg152T1_RL_nifti.nii.gz", (91, 109, 91), (2, 2, 2), (0, 255)),
        Opens(f"{_NIIVUE}/spmMotor.nii.gz", (79, 95, 79), (2, 2, 2), (-6.862, 12.16)),
    ),
    f"{_NIIVUE}/ras.hdr": (
        Opens(f"{_NIIVUE}/ras.hdr", (62, 41, 34), (2.385, 2.39, 2.366), (0, 255)),
        Opens(f"{_NIIVUE}/ras.img", (62, 41, 34), (2.385, 2.39, 2.366), (0, 255)),
    ),
    "nibabel/**": (
        Refuses("nibabel/nifti1.hdr", "nifti1.img"),
        Refuses("nibabel/nifti2.hdr", "nifti2.img"),
        Refuses("nibabel/analyze.hdr", "analyze.img"),
        Refuses("nibabel/row_major.dconn.nii", "CIFTI"),
        Refuses("nibabel/README.rst", NOT_A_SCAN),
        Refuses("nibabel/tinypet.v", "ECAT"),
        Refuses("nibabel/test.mgz", "two different voxel sizes"),
        Refuses("nibabel/bad_attribute+orig.HEAD", "AFNI header"),
        Refuses("nibabel/bad_datatype+orig.HEAD", "several or unsupported types"),
        Opens("nibabel/anatomical.nii", (33, 41, 25), (2, 2, 2), (-610, 30393)),
        Opens("nibabel/standard.nii.gz", (4, 5, 7), (1, 3, 2), (0, 255)),
        Opens("nibabel/reoriented_anat_moved.nii", (21, 26, 22), (4, 4, 4), (0, 21200)),
        Opens("nibabel/resampled_anat_moved.nii", (17, 21, 3), (4, 4, 8), (409.3, 13360), "153 voxels"),
        Opens("nibabel/example_nifti2.nii.gz", (32, 20, 12), (2, 2, 2.2), (49, 742), "2 images"),
        Opens("nibabel/example4d.nii.gz", (128, 96, 24), (2, 2, 2.2), (0, 1162), "2 images"),
        Opens("nibabel/functional.nii", (17, 21, 3), (4, 4, 8), (762.5, 5538), "20 images"),
        Opens("nibabel/example4d+orig.HEAD", (33, 41, 25), (3, 3, 3), (0, 13722), "3 images"),
        Opens("nibabel/example4d+orig.BRIK.gz", (33, 41, 25), (3, 3, 3), (0, 13722), "3 images"),
        Opens("nibabel/minc1_4d.mnc", (20, 20, 10), (2, 2, 2), (0.2078, 0.749), "2 images"),
        Opens("nibabel/minc2_baddim.mnc", (10, 10, 10), (0.035, 0.035, 0.035), (495.4, 629.4)),
        Opens("nibabel/small.mnc", (29, 28, 18), (7, 8, 9), (0.1185, 92.88)),
        Opens("nibabel/phantom_EPI_asc_CLEAR_2_1.PAR", (64, 64, 9), (3.75, 3.75, 8), (0, 2299), "3 images"),
        Opens("nibabel/phantom_EPI_asc_CLEAR_2_1.REC", (64, 64, 9), (3.75, 3.75, 8), (0, 2299), "3 images"),
        Opens("nibabel/phantom_truncated.PAR", (64, 64, 9), (3.75, 3.75, 8), (0, 2299), "ended early"),
        Opens("nibabel/phantom_truncated.REC", (64, 64, 9), (3.75, 3.75, 8), (0, 2299), "ended early"),
        *[Looks(f"nibabel/{n}.dcm", NO_PLACE) for n in ("0", "1", "nicom/0", "nicom/1")],
        Looks("nibabel/nicom/slicethickness_empty_string.dcm", "projection"),
        Refuses("nibabel/nicom/csa_slice_norm.dcm", "no pixel data"),
        *[
            Refuses(f"nibabel/nicom/{n}", CONSTANT)
            for n in (
                "decimal_rescale.dcm", "philips_mprage.dcm.gz", "siemens_dwi_0.dcm.gz", "siemens_dwi_1000.dcm.gz",
            )
        ],
        *[
            Refuses(f"nibabel/nicom/{n}", NOT_A_SCAN)
            for n in (
                "ascconv_sample.txt", "csa2_b0.bin", "csa2_b1000.bin", "csa2_zero_len.bin.gz",
                "csa_str_1001n_items.bin", "csa_str_valid.bin",
            )
        ],
    ),
    f"{_PYDICOM}/**": (
        Opens(f"{_PYDICOM}/CT_small.dcm", (128, 128, 1), (0.6615, 0.6615, 5), (-896, 1167), "only one slice"),
        Opens(f"{_PYDICOM}/J2K_pixelrep_mismatch.dcm", (512, 512, 1), (0.431, 0.431, 5), (-1024, 1896), "Padding"),
        Opens(f"{_PYDICOM}/zipMR.gz", *_SMALL),
        Opens(f"{_PYDICOM}/MR_small.dcm", *_SMALL),
        *[
            Opens(f"{_PYDICOM}/MR_small_{kind}.dcm", *_SMALL)
            for kind in (
                "RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded",
            )
        ],
        *[
            Looks(f"{_PYDICOM}/{n}.dcm", CAPTURE)
            for n in ("GDCMJ2K_TextGBR", "JPEG-lossy", "JPEG2000", "JPGExtended", "SC_rgb_small_odd", "image_dfl")
        ],
        *[
            Refuses(f"{_PYDICOM}/{n}.dcm", CAPTURE)
            for n in (
                "ExplVR_BigEndNoMeta", "ExplVR_LitEndNoMeta", "badVR", "liver_1frame", "rtdose", "rtplan", "rtstruct",
                "test-SR", "waveform_ecg",
            )
        ],
        *[
            Refuses(f"{_PYDICOM}/{n}.dcm", DAMAGED)
            for n in (
                "MR_truncated", "UN_sequence", "empty_charset_LEI", "no_meta",
                "no_meta_group_length",
            )
        ],
        *[Refuses(f"{_PYDICOM}/{n}.dcm", NO_SIZE) for n in ("meta_missing_tsyntax", "nested_priv_SQ")],
        Refuses(f"{_PYDICOM}/JPEG2000-embedded-sequence-delimiter.dcm", "cannot be decoded"),
        Refuses(f"{_PYDICOM}/README.txt", NOT_A_SCAN),
        *[
            Lists(f"{_PYDICOM}/dicomdirtests/DICOMDIR{kind}", _CD)
            for kind in ("", "-bigEnd", "-empty.dcm", "-implicit", "-nooffset", "-nopatient", "-reordered")
        ],
        Lists(f"{_PYDICOM}/dicomdirtests", _CD),
        Lists(f"{_PYDICOM}/dicomdirtests/TINY_ALPHA", _CD[:1]),
    ),
    f"{_DATA}/*.dcm": (
        *[
            Looks(f"{_DATA}/emri_small{kind}.dcm", NO_PLACE)
            for kind in (
                "", "_RLE", "_big_endian", "_jpeg_2k_lossless", "_jpeg_2k_lossless_too_short", "_jpeg_ls_lossless",
            )
        ],
        Opens(f"{_DATA}/eCT_Supplemental.dcm", (512, 512, 2), (0.3887, 0.3887, 10), (-1024, 172)),
        Opens(f"{_DATA}/bad_sequence.dcm", (512, 512, 1), (0.2871, 0.2871, 1), (-1011, 1243)),
        Opens(f"{_DATA}/693_J2KR.dcm", (512, 512, 1), (0.4785, 0.4785, 5), (-1024, 1468)),
        Opens(f"{_DATA}/693_UNCI.dcm", (512, 512, 1), (0.4785, 0.4785, 5), (-1024, 1812)),
        Opens(f"{_DATA}/MR-SIEMENS-DICOM-WithOverlays.dcm", (484, 484, 1), (0.7231, 0.7231, 4), (0, 1123)),
        Looks(f"{_DATA}/explicit_VR-UN.dcm", "how thick"),
        *[Looks(f"{_DATA}/{n}.dcm", CAPTURE) for n in ("JPEG-LL", "JPGLosslessP14SV1_1s_1f_8b", "mlut_18", "vlut_04")],
        Refuses(f"{_DATA}/liver.dcm", CAPTURE),
    ),
    "dicom_transfer_syntaxes_siemens/1..9.dcm": (
        *[Opens(f"dicom_transfer_syntaxes_siemens/{n}.dcm", *_MOSAIC, (0, 2362)) for n in range(1, 10)],
        Lists(
            "dicom_transfer_syntaxes_siemens", tuple(Stack(f"series-{n}", M, *_MOSAIC) for n in range(1, 10))
        ),
        Opens("dicom_transfer_syntaxes_siemens/1.nii", *_MOSAIC, (0, 2362)),
        Refuses("dicom_transfer_syntaxes_siemens/1.json", NOT_A_SCAN),
    ),
    "dicom_d2n_failing/{notavolume,slicecount}/": (
        Lists("dicom_d2n_failing/notavolume", (Stack("", V, (512, 512, 4), None, "1 position with 4 pictures"),)),
        Lists("dicom_d2n_failing/slicecount", (Stack("", M, (256, 256, 2), (1, 1, 1)),)),
        Lists("dicom_d2n_failing/ge_single_slice", (Stack("", V, (256, 256, 1), None, "how thick"),)),
    ),
}  # fmt: skip
