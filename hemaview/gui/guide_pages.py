"""The pages of the user guide: which there are, in which order, and where they lie; no Qt in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hemaview.errors import HemaviewError
from hemaview.resources import resource_path

FIRST_PAGE = "README.md"

_LINK = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<file>[^)]+\.md)\)", re.MULTILINE)


@dataclass(frozen=True)
class GuidePage:
    """A Markdown file and what it is called in the contents."""

    title: str
    path: Path


def guide_pages(folder: Path | None = None) -> tuple[GuidePage, ...]:
    """The first page, then those that it lists; ``HemaviewError`` when the guide was not installed."""
    folder = folder or resource_path("docs", "guide")
    first = folder / FIRST_PAGE
    try:
        text = first.read_text(encoding="utf-8")
    except OSError as error:
        raise HemaviewError("The user guide is missing; install HEMAVIEW again.") from error
    listed = [GuidePage(link["title"], folder / link["file"]) for link in _LINK.finditer(text)]
    return (GuidePage("Start here", first), *listed)
