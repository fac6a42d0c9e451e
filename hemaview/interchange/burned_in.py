"""Whether a picture may show the patient's name in its pixels, where no header profile can remove it."""

from __future__ import annotations

from pydicom.dataset import Dataset

_SCREEN_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture and its multi-frame kinds
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound
    "1.2.840.10008.5.1.4.1.1.77.1",  # photographs and endoscopy
)
_SCREEN_MODALITIES = {"US", "OT", "SC", "XC", "ES", "DOC"}
_SCREEN_WORDS = ("SCREEN", "DOSE", "REPORT", "SUMMARY", "PROTOCOL", "CAPTURE")


def may_show_text(dataset: Dataset) -> str | None:
    """Why the picture may show burned-in text, as a clause; None when nothing speaks for it.

    A header that says NO is believed, as PS3.3 (0028,0301) means it.
    """
    stated = str(dataset.get("BurnedInAnnotation", "")).upper()
    if stated == "YES":
        return "its header says that text is burned in"
    if stated == "NO":
        return None
    return "it is a screen shot, a photograph or an ultrasound picture" if _is_screen(dataset) else None


def _is_screen(dataset: Dataset) -> bool:
    sop_class = str(dataset.get("SOPClassUID", ""))
    words = dataset.get("ImageType") or ()
    return (
        any(sop_class == kind or sop_class.startswith(f"{kind}.") for kind in _SCREEN_CLASSES)
        or str(dataset.get("Modality", "")).upper() in _SCREEN_MODALITIES
        or "ConversionType" in dataset
        or "SequenceOfUltrasoundRegions" in dataset
        or any(word in str(part).upper() for part in words for word in _SCREEN_WORDS)
    )
