"""Errors whose text is written for the person at the screen."""

from __future__ import annotations


class HemaviewError(Exception):
    """A foreseeable failure; ``str(error)`` is one sentence that says what happened and what to do."""


class ScanError(HemaviewError):
    """A scan cannot be opened, or its geometry cannot be trusted."""


class PromptError(HemaviewError):
    """A prompt cannot be used with this scan, for example a box outside it or without area."""


class ModelError(HemaviewError):
    """A model file is missing, altered or of the wrong kind."""


class CaseError(HemaviewError):
    """A case cannot be written or reopened."""


class ExportError(HemaviewError):
    """A result cannot be written to disk or would be wrong if it were."""


class Cancelled(HemaviewError):  # noqa: N818 - an outcome the user asked for, not an error
    """The user cancelled the work; nothing was changed."""

    def __init__(self, message: str = "Cancelled; nothing was changed.") -> None:
        super().__init__(message)
