"""Lists of files, sizes and counts as words of a sentence, and the order in which people count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.sources import Source


def file_names(files: Sequence[Instance | Source]) -> str:
    """For example "'IM1' and 'IM2'" or "'IM1', 'IM2' and 7 more"."""
    sources = (file.source if isinstance(file, Instance) else file for file in files)
    names = list(dict.fromkeys(f"'{source.name}'" for source in sources))
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return listed(names)


def listed(words: Iterable[object]) -> str:
    """For example "a, b and c"."""
    items = [str(word) for word in words]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def counted(count: int, one: str, many: str) -> str:
    """For example "1 slice is" or "3 slices are"."""
    return f"1 {one}" if count == 1 else f"{count} {many}"


def natural_order(text: str) -> tuple[tuple[float, str], ...]:
    """A key that sorts "2" before "10" and words behind numbers."""
    return tuple((float(part) if part.isdigit() else float("inf"), part) for part in re.split(r"(\d+)", text) if part)
