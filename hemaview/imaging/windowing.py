"""Window and level: which values of a scan become which greys on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging.sequence import Sequence
from hemaview.imaging.volume import Volume

_SAMPLE_SIZE = 400_000
_CONSTANT_BACKGROUND_SHARE = 0.02
_PERCENTILES = (1.0, 99.5)
_DARK_BLOOD = (0.2, 99.5)
_BRIGHT_LESION = (1.0, 99.9)
_SEQUENCE_PERCENTILES = {
    Sequence.T2STAR: _DARK_BLOOD,
    Sequence.SWI: _DARK_BLOOD,
    Sequence.T1C: _BRIGHT_LESION,
    Sequence.FLAIR: _BRIGHT_LESION,
    Sequence.DWI: _BRIGHT_LESION,
}
"""Where the small part of the head that matters is darkest or brightest, less of that end is cut off."""


@dataclass(frozen=True)
class Window:
    """The value shown as middle grey and the range of values between black and white, in the scan's own values."""

    centre: float
    width: float

    @property
    def lower(self) -> float:
        """Values up to here are black."""
        return self.centre - self.width / 2

    @property
    def upper(self) -> float:
        """Values from here on are white."""
        return self.centre + self.width / 2

    @classmethod
    def between(cls, lower: float, upper: float) -> Window:
        """The window from ``lower`` (black) to ``upper`` (white); never without width."""
        return cls((lower + upper) / 2, max(upper - lower, 1e-6))

    def within(self, auto: Window) -> Window:
        """This window read as a fraction of ``auto``: 0 is auto's lower and 1 its upper end."""
        return Window(auto.lower + self.centre * auto.width, self.width * auto.width)


UNIT_WINDOW = Window(0.5, 1.0)
"""The automatic window seen in fractions of itself."""

CT_AUTO_WINDOW = Window(40.0, 80.0)
"""What a radiologist opens a head CT with; percentiles of a CT mostly describe air and bone."""


@dataclass(frozen=True)
class WindowPreset:
    """A named window and the digit key ("1" to "9") that selects it."""

    name: str
    key: str
    window: Window


_CT_PRESETS = (
    WindowPreset("Brain", "1", Window(40, 80)),
    WindowPreset("Blood", "2", Window(60, 80)),
    WindowPreset("Subdural", "3", Window(75, 215)),
    WindowPreset("Stroke", "4", Window(40, 40)),
    WindowPreset("Posterior fossa", "5", Window(40, 150)),
    WindowPreset("Soft tissue", "6", Window(50, 350)),
    WindowPreset("Bone", "7", Window(600, 2800)),
    WindowPreset("Temporal bone", "8", Window(700, 4000)),
    WindowPreset("Full range", "9", Window(500, 3000)),
)

# In fractions of the automatic window.
_RELATIVE_PRESETS = (
    WindowPreset("Auto", "1", UNIT_WINDOW),
    WindowPreset("Narrow", "2", Window(0.5, 0.6)),
    WindowPreset("Wide", "3", Window(0.5, 1.6)),
    WindowPreset("Bright", "4", Window(0.35, 0.7)),
    WindowPreset("Dark", "5", Window(0.7, 1.4)),
    WindowPreset("Low signal", "6", Window(0.25, 0.5)),
    WindowPreset("High signal", "7", Window(0.75, 0.5)),
)


def presets(*, hounsfield: bool, auto: Window = UNIT_WINDOW) -> tuple[WindowPreset, ...]:
    """The presets of a scan whose values are ``hounsfield`` units or not, in the order of their keys.

    CT windows are in HU and do not depend on ``auto``. Values of MR and grey levels have no unit, so their windows
    are laid out relative to ``auto``, which is the scan's ``auto_window``; without it they are fractions of it.
    """
    if hounsfield:
        return _CT_PRESETS
    return tuple(WindowPreset(p.name, p.key, p.window.within(auto)) for p in _RELATIVE_PRESETS)


def auto_window(volume: Volume) -> Window:
    """A window that shows the head well whatever the background is.

    CT in HU gets the brain window. Otherwise the 1st to 99.5th percentile of the foreground (wider at the dark end
    for T2* and SWI, at the bright end for T1 with contrast, FLAIR and DWI): voxels above a
    constant background (0, or -3.62 in a z-scored scan) where there is one, else everything for black
    and the voxels above the mean for white, so that noise in air stays dark.
    """
    if volume.is_hounsfield:
        return CT_AUTO_WINDOW
    lowest_percent, highest_percent = _SEQUENCE_PERCENTILES.get(volume.sequence.sequence, _PERCENTILES)
    flat = volume.array.reshape(-1)
    # A stride that shares no factor with usual row lengths samples all rows and slices evenly.
    stride = max(1, flat.size // _SAMPLE_SIZE) | 1
    sample = np.asarray(flat[::stride], dtype=np.float64)
    lowest = sample.min()
    foreground = sample[sample > lowest]
    if foreground.size == 0:
        return Window(float(lowest), 1.0)
    if 1 - foreground.size / sample.size >= _CONSTANT_BACKGROUND_SHARE:
        low, high = np.percentile(foreground, (lowest_percent, highest_percent))
    else:
        low = np.percentile(sample, lowest_percent)
        high = np.percentile(sample[sample >= sample.mean()], highest_percent)
    if high <= low:
        low, high = lowest, sample.max()
    return Window.between(float(low), float(high))


@lru_cache(maxsize=16)
def window_lut(window: Window) -> NDArray[np.uint8]:
    """(65536,) greys for int16 values: ``lut[value + 32768]``, or ``lut[array.view(uint16) ^ 0x8000]``. Read-only."""
    lut = _grey(np.arange(-32768, 32768, dtype=np.float32), window)
    lut.setflags(write=False)
    return lut


@lru_cache(maxsize=16)
def _wrapped_lut(window: Window) -> NDArray[np.uint8]:
    """The same table in the order of the bit patterns 0...65535, so int16 can index it without an offset."""
    lut = np.roll(window_lut(window), 32768)
    lut.setflags(write=False)
    return lut


def to_grey8(picture: NDArray, window: Window) -> NDArray[np.uint8]:
    """Greys 0...255, C-contiguous, of an int16 or float32 array of any shape; linear, rounded, clipped."""
    if picture.dtype == np.int16:
        bits = np.ascontiguousarray(picture).view(np.uint16)
        return np.asarray(_wrapped_lut(window).take(bits))
    return _grey(np.ascontiguousarray(picture, dtype=np.float32), window)


def _grey(values: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    scale = np.float32(255.0 / max(window.width, 1e-6))
    grey = (values - np.float32(window.lower)) * scale
    # Adding one half and truncating rounds, because nothing negative is left after the clip.
    np.clip(grey, 0.0, 255.0, out=grey)
    grey += np.float32(0.5)
    return grey.astype(np.uint8)
