"""A fixed stream of work on a case, run as a program: ``edit_stream.py work|states ROOT COUNT``.

``work`` makes a case and prints its folder, then one number per finished change until it is killed.
``states`` does the same changes in a case of its own and prints the state after each.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from hemaview.case import Case, prompting
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.segmentation import BoxPrompt, EngineInfo, PointPrompt, Prompt, Segmentation

GEOMETRY = Geometry((64, 64, 16), (1.0, 1.0, 4.0))
ENGINE = EngineInfo("test", "Random", "CPU", "00" * 32, "nothing", "Apache-2.0")


def change(case: Case, number: int) -> None:
    rng = np.random.default_rng(number)
    low = rng.integers(0, (50, 50, 10))
    high = low + rng.integers(2, 6, 3)
    region = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    shape = tuple(part.stop - part.start for part in region)
    box = BoxPrompt.from_index_bounds(GEOMETRY, low - 0.5, high - 0.5)
    match number % 11:
        case 0:
            case.set_box(box)
        case 1:
            found = rng.random(shape, dtype=np.float32)
            confidence = np.full(shape[0], 0.5, np.float32)
            case.set_segmentation(Segmentation(found, region, GEOMETRY, Prompt.of(box), ENGINE, confidence, 0.1, 0.2))
        case 4:
            case.undo()
        case 6:
            case.redo()
        case 7:
            case.set_prompt(prompting.point_added(case.prompt, PointPrompt(_inside(rng), number % 2 == 0)), "Add point")
        case 8:
            case.set_prompt(prompting.box_added(case.prompt, box), "Add box")
        case 9:
            rectangle = prompting.slice_rectangle(GEOMETRY, int(low[2]), low[:2] - 0.5, high[:2] - 0.5)
            case.set_prompt(prompting.slice_redrawn(case.prompt, rectangle, GEOMETRY), "Redraw slice")
        case 10 if case.mask is not None:
            case.set_checked(not case.checked)
        case _:
            case.edit_mask(region, rng.random(shape) > 0.3, "Brush")


def _inside(rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in GEOMETRY.index_to_lps(rng.integers(0, GEOMETRY.size)))
    return x, y, z


def seen(case: Case) -> str:
    mask = b"" if case.mask is None else np.packbits(case.mask.array).tobytes()
    made = b"" if case.segmentation is None else case.segmentation.probability().tobytes()
    words = repr((case.prompt, case.edited, case.edited_slices, case.checked, case.undo_text, case.redo_text)).encode()
    return hashlib.sha256(mask + made + words).hexdigest()


def main(mode: str, root: Path, count: int) -> None:
    case = Case.create(root)
    case.add_scan(root / "scan.nii", Volume(np.zeros(GEOMETRY.shape, np.int16), GEOMETRY, Modality.MR))
    print(case.directory, flush=True)
    for number in range(count):
        change(case, number)
        print(seen(case) if mode == "states" else number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
