"""A known move is found again, the same on every run, and an implausible one is refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hemaview.case.sample import load_sample
from hemaview.errors import Cancelled, ScanError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.preprocessing import RigidMove, aligned, register_rigid
from hemaview.imaging.preprocessing.grids import Joined, sample
from hemaview.imaging.reading import read_scan

TURN = Rotation.from_rotvec(np.radians(5) * np.array([2, -1, 2]) / 3)
SHIFT = 8 * np.array([2.0, -2.0, 1.0]) / 3


@pytest.fixture(scope="module")
def phantom() -> Volume:
    """The sample phantom on voxels of 2 x 2 x 3 mm."""
    scan = read_scan(load_sample().scan)
    joined = Joined.to(scan.array, scan.geometry, 2.0)
    return Volume(joined.array, joined.geometry, Modality.MR)


@pytest.fixture(scope="module")
def found(phantom) -> RigidMove:
    return register_rigid(phantom, moved(phantom))


def centre(volume: Volume) -> np.ndarray:
    return volume.geometry.index_to_lps((np.array(volume.geometry.size) - 1) / 2)


def there(points, about) -> np.ndarray:
    """The true move: 5 degrees about the head's middle and 8 mm."""
    return TURN.apply(np.reshape(points, (-1, 3)) - about).reshape(np.shape(points)) + about + SHIFT


def back(points, about) -> np.ndarray:
    moved = np.reshape(points, (-1, 3)) - about - SHIFT
    return TURN.inv().apply(moved).reshape(np.shape(points)) + about


def moved(volume: Volume, grid: Geometry | None = None, *, other_contrast: bool = False) -> Volume:
    """The head as a second scan sees it after the patient moved, on ``grid``."""
    about = centre(volume)
    values = sample(volume.array, volume.geometry, grid or volume.geometry, move=lambda p: back(p, about), fill=0)
    if other_contrast:
        values = np.where(values > 8, 255 - values, 0)
    return Volume(values.astype(np.float32), grid or volume.geometry, Modality.MR)


def errors(move: RigidMove, volume: Volume) -> tuple[float, float]:
    """Degrees, and mm at the head's middle."""
    found = Rotation.from_matrix(np.reshape(move.rotation, (3, 3)))
    off = float(np.linalg.norm(move(centre(volume)) - there(centre(volume), centre(volume))))
    return float(np.degrees((found * TURN.inv()).magnitude())), off


def crooked_like(volume: Volume) -> Geometry:
    """A tilted gantry with two slice distances over the same head."""
    tilt = np.radians(12)
    axes = np.array([[1, 0, 0], [0, 1, np.sin(tilt)], [0, 0, np.cos(tilt)]])
    positions = np.cumsum([0.0, *[3.0] * 34, *[5.0] * 14])
    step = float(positions[-1] / (len(positions) - 1))
    size = (120, 150, len(positions))
    half = axes @ np.array([(size[0] - 1) * 0.75, (size[1] - 1) * 0.75, positions[-1] / 2])
    return Geometry(size, (1.5, 1.5, step), tuple(centre(volume) - half), tuple(axes.ravel()), tuple(positions))


def test_a_known_move_is_found(phantom, found):
    degrees, distance = errors(found, phantom)
    assert degrees < 0.5 and distance < 0.5
    assert found.degrees == pytest.approx(5, abs=0.5)
    assert found.information_after > found.information_before


def test_it_is_found_with_another_contrast(phantom):
    degrees, distance = errors(register_rigid(phantom, moved(phantom, other_contrast=True)), phantom)
    assert degrees < 0.5 and distance < 0.5


def test_it_is_found_on_a_tilted_scan_with_uneven_slices(phantom):
    degrees, distance = errors(register_rigid(phantom, moved(phantom, crooked_like(phantom))), phantom)
    assert degrees < 0.5 and distance < 0.5


def test_the_answer_is_the_same_every_time(phantom, found):
    assert register_rigid(phantom, moved(phantom)) == found


def test_it_is_found_on_a_real_ct_with_a_tilted_gantry(shared_data):
    # On its thick slices some turned starts share more than the unturned one and lead nowhere.
    scan = read_scan(shared_data / "dicom_series" / "ge_hispeed_ct_head_tilt.zip")
    about, air = centre(scan), float(scan.array.min())
    values = sample(scan.array, scan.geometry, scan.geometry, move=lambda p: back(p, about), fill=air)
    degrees, distance = errors(
        register_rigid(scan, Volume(values.astype(np.float32), scan.geometry, Modality.CT)), scan
    )
    assert degrees < 0.5 and distance < 0.5


def test_there_and_back_is_where_it_was(phantom, found):
    move = found
    points = centre(phantom) + np.random.default_rng(0).normal(0, 60, (40, 3))
    assert np.allclose(move.back(move(points)), points)


def test_the_moving_scan_can_be_shown_on_the_fixed_grid(phantom, found):
    shown = aligned(moved(phantom), found, phantom.geometry)
    assert shown.shape == phantom.array.shape
    inner = (slice(10, -10),) * 3
    assert np.corrcoef(shown[inner].ravel(), phantom.array[inner].ravel())[0, 1] > 0.97


def test_another_frame_of_reference_is_no_obstacle(phantom):
    far = phantom.geometry
    away = Geometry(far.size, far.spacing, tuple(np.add(far.origin, (300, -120, 80))), far.direction)
    move = register_rigid(phantom, Volume(phantom.array, away, Modality.MR))
    assert np.allclose(move(centre(phantom)) - centre(phantom), (300, -120, 80), atol=0.5)


def test_a_turn_of_forty_degrees_is_refused(phantom):
    turn = Rotation.from_euler("z", 42, degrees=True)
    about = centre(phantom)
    move = lambda p: turn.inv().apply(np.reshape(p, (-1, 3)) - about).reshape(np.shape(p)) + about  # noqa: E731
    turned = Volume(sample(phantom.array, phantom.geometry, phantom.geometry, move=move, fill=0), phantom.geometry)
    with pytest.raises(ScanError, match="could not be aligned"):
        register_rigid(phantom, turned)


def test_noise_is_not_aligned_with_a_head(phantom):
    noise = np.random.default_rng(0).normal(100, 10, (12, 32, 32)).astype(np.float32)
    x, y, z = np.add(centre(phantom), (2000, 0, 0))
    far = Volume(noise, Geometry((32, 32, 12), (1.0, 1.0, 1.0), (x, y, z)))
    with pytest.raises(ScanError, match="could not be aligned"):
        register_rigid(phantom, far)


def test_it_can_be_cancelled(phantom):
    def stop(fraction: float) -> None:
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        register_rigid(phantom, moved(phantom), progress=stop)
