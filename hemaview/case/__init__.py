"""A case: scans, box, mask and what is measured from them, journalled change by change."""

from hemaview.case import prompting
from hemaview.case.alignment import Alignment
from hemaview.case.case import Case
from hemaview.case.recent import CaseSummary, default_case_root, recent_cases
from hemaview.case.records import SegmentationRecord, fingerprint
from hemaview.case.scan_entry import ScanEntry
from hemaview.case.signal import Signal
from hemaview.case.snapshot import Snapshot
from hemaview.case.state import CaseChange, ChangeKind

__all__ = [
    "Alignment",
    "Case",
    "CaseChange",
    "CaseSummary",
    "ChangeKind",
    "ScanEntry",
    "SegmentationRecord",
    "Signal",
    "Snapshot",
    "default_case_root",
    "fingerprint",
    "prompting",
    "recent_cases",
]
