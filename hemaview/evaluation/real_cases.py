"""The real scans with known masks on which engines are compared.

They are read from a folder that is not part of HEMAVIEW (none of the scans may be redistributed with it) and
no model is trained on them. ``standard`` says who drew the mask: "expert", or "silver" where an algorithm did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from hemaview.errors import ScanError
from hemaview.imaging import LabelMap, Volume
from hemaview.imaging.reading import read_scan


class Group(StrEnum):
    """What kind of lesion a case shows; results are averaged per group."""

    WHOLE_TUMOUR = "whole tumour (FLAIR, T2)"
    TUMOUR_CORE = "tumour core (T1c)"
    ICH = "intracerebral haematoma (CT)"
    EXTRA_AXIAL = "extra-axial haematoma (CT)"
    SCATTERED = "scattered lesions (FLAIR, robustness only)"


class Standard(StrEnum):
    """Who made the reference mask."""

    EXPERT = "expert"
    SILVER = "silver"


@dataclass(frozen=True)
class RealCase:
    """One scan with its reference: files below the data folder and the label values that make up the lesion.

    ``labels`` empty means every value above zero.
    """

    name: str
    group: Group
    standard: Standard
    scan: str
    reference: str
    licence: str
    labels: tuple[int, ...] = ()

    def available(self, data: Path) -> bool:
        """Whether both files are there."""
        return (data / self.scan).is_file() and (data / self.reference).is_file()

    def load(self, data: Path) -> tuple[Volume, LabelMap]:
        """Scan and reference mask on one grid; ``ScanError`` when they do not lie on each other."""
        volume, drawn = read_scan(data / self.scan), read_scan(data / self.reference)
        if not volume.geometry.matches(drawn.geometry, tolerance_mm=0.5):
            raise ScanError(f"The reference of {self.name} does not lie on its scan; fetch the case again.")
        values = np.rint(drawn.array).astype(np.int32)
        chosen = np.isin(values, self.labels) if self.labels else values > 0
        return volume, LabelMap(chosen, volume.geometry)


_BRATS = "mr_lesion/deepmedic_brats2013_pat0001"
_TCGA = "mr_lesion/tcga_du_7294_silver"
_BRAINLES = "mr_lesion/brainles_case_bad_skullstrip"
_PYRADIOMICS = "mr_lesion/pyradiomics_brain_tumour_t1c"
_MS = "mr_lesion/open_ms_patient19"
_PHE = "ct_ich/phe_sich_stacks"
_PHYSIONET = "ct_ich/derived_volumes"

REAL_CASES: tuple[RealCase, ...] = (
    RealCase(
        "brats2013_pat0001 FLAIR",
        Group.WHOLE_TUMOUR,
        Standard.EXPERT,
        f"{_BRATS}/Flair_subtrMeanDivStd.nii.gz",
        f"{_BRATS}/OTMultiClass.nii.gz",
        "CC BY-NC-SA 3.0",
    ),
    RealCase(
        "TCGA-DU-7294 FLAIR",
        Group.WHOLE_TUMOUR,
        Standard.SILVER,
        f"{_TCGA}/TCGA-DU-7294_fla_bet.nii.gz",
        f"{_TCGA}/seg_mav.nii.gz",
        "CC BY 3.0 (TCIA)",
    ),
    RealCase(
        "TCGA-DU-7294 T2",
        Group.WHOLE_TUMOUR,
        Standard.SILVER,
        f"{_TCGA}/TCGA-DU-7294_t2_bet.nii.gz",
        f"{_TCGA}/seg_mav.nii.gz",
        "CC BY 3.0 (TCIA)",
    ),
    RealCase(
        "BrainLes FLAIR (bad skull strip)",
        Group.WHOLE_TUMOUR,
        Standard.SILVER,
        f"{_BRAINLES}/t2f.nii.gz",
        f"{_BRAINLES}/segmentation_algo.nii.gz",
        "unclear",
    ),
    RealCase(
        "brats2013_pat0001 T1c",
        Group.TUMOUR_CORE,
        Standard.EXPERT,
        f"{_BRATS}/T1c_subtrMeanDivStd.nii.gz",
        f"{_BRATS}/OTMultiClass.nii.gz",
        "CC BY-NC-SA 3.0",
        labels=(1, 3, 4),  # necrosis, non-enhancing and enhancing tumour; 2 is oedema
    ),
    RealCase(
        "BrainLes T1c (bad skull strip)",
        Group.TUMOUR_CORE,
        Standard.SILVER,
        f"{_BRAINLES}/t1c.nii.gz",
        f"{_BRAINLES}/segmentation_algo.nii.gz",
        "unclear",
        labels=(1, 3),  # necrosis and enhancing tumour; 2 is oedema
    ),
    RealCase(
        "pyradiomics brain1 T1c",
        Group.TUMOUR_CORE,
        Standard.EXPERT,
        f"{_PYRADIOMICS}/brain1_image.nrrd",
        f"{_PYRADIOMICS}/brain1_label.nrrd",
        "BSD-3-Clause (repository)",
    ),
    RealCase(
        "pyradiomics brain2 T1c (2 slices)",
        Group.TUMOUR_CORE,
        Standard.EXPERT,
        f"{_PYRADIOMICS}/brain2_image.nrrd",
        f"{_PYRADIOMICS}/brain2_label.nrrd",
        "BSD-3-Clause (repository)",
    ),
    *(
        RealCase(
            f"phe_sich_{number} CT",
            Group.ICH,
            Standard.SILVER,
            f"{_PHE}/phe_sich_{number}_ct_grey8.nii.gz",
            f"{_PHE}/phe_sich_{number}_haematoma_mask_derived.nii.gz",
            "CC BY-SA 4.0 (as quoted elsewhere)",
        )
        for number in ("0001", "0006", "0021", "0088")
    ),
    RealCase(
        "physionet subdural CT",
        Group.EXTRA_AXIAL,
        Standard.EXPERT,
        f"{_PHYSIONET}/physionet_sdh_15slices_ct_hu_approx.nii.gz",
        f"{_PHYSIONET}/physionet_sdh_15slices_mask.nii.gz",
        "CC BY 4.0",
    ),
    RealCase(
        "physionet epidural CT",
        Group.EXTRA_AXIAL,
        Standard.EXPERT,
        f"{_PHYSIONET}/physionet_edh_9slices_ct_hu_approx.nii.gz",
        f"{_PHYSIONET}/physionet_edh_9slices_mask.nii.gz",
        "CC BY 4.0",
    ),
    RealCase(
        "open_ms patient19 FLAIR",
        Group.SCATTERED,
        Standard.EXPERT,
        f"{_MS}/FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
        f"{_MS}/GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz",
        "CC BY",
    ),
)


def available_cases(data: Path) -> Iterator[RealCase]:
    """The cases whose files lie below ``data``, in the order of the table."""
    return (case for case in REAL_CASES if case.available(data))
