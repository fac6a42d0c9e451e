"""The 3D scene: the haematoma's surface, the three slices as pictures in space, the head's outline, the box.

Pure pyvista, no Qt: the same scene is drawn in a window, or off screen for a picture. Coordinates are LPS mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyvista as pv
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkTexture

from hemaview.imaging import Geometry, Volume
from hemaview.imaging.even_slices import EvenSlices
from hemaview.imaging.windowing import Window, to_grey8
from hemaview.segmentation.contract import BoxPrompt
from hemaview.surface import Mesh

_BOX_EDGES = ((0, 1), (1, 3), (3, 2), (2, 0), (4, 5), (5, 7), (7, 6), (6, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_AIR_GREY = 16
_GHOST_OPACITY = 0.3
_IN_FRONT = -100_000.0
_MOST_TEXTURE = 512
_TEXTURE_MM = 1.0
"""How fine the texture is across unevenly spaced slices."""


Bounds = tuple[NDArray[np.int_], NDArray[np.int_]]


@dataclass(frozen=True)
class SceneColours:
    """Colours as ``#rrggbb``."""

    ground_top: str
    ground_bottom: str
    lesion: str
    head: str
    box: str
    frames: tuple[str, str, str]
    text: str


class _SlicePicture:
    """One slice of the scan as a textured quadrilateral; ``axis`` is the voxel axis it lies across.

    ``even`` are the texture's steps where the quadrilateral cuts across unevenly spaced slices.
    """

    def __init__(self, plotter: pv.BasePlotter, axis: int, even: EvenSlices | None, colour: str) -> None:
        self.axis = axis
        self._even = None if axis == 2 else even
        self._quad = pv.PolyData(np.zeros((4, 3)), faces=[4, 0, 1, 2, 3])
        self._quad.active_texture_coordinates = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
        self._image = vtkImageData()
        self._texture = vtkTexture()
        self._texture.SetInputData(self._image)
        self._texture.InterpolateOn()
        self._texture.SetColorModeToDirectScalars()
        self._set_pixels(np.zeros((1, 1, 2), dtype=np.uint8))
        self.actor = plotter.add_mesh(
            self._quad, color="white", lighting=False, pickable=False, reset_camera=False, render=False
        )
        self.actor.SetTexture(self._texture)
        # Opaque, so that slices hide each other where they should; the shader still drops what has no alpha.
        self.actor.ForceOpaqueOn()
        self._border = pv.PolyData(np.zeros((4, 3)), lines=[5, 0, 1, 2, 3, 0])
        self.frame = plotter.add_mesh(
            self._border, color=colour, line_width=1.5, lighting=False, reset_camera=False, render=False
        )

    def show(self, volume: Volume, content: Bounds, index: int, window: Window) -> None:
        """Put slice ``index``, cut to the voxels of ``content``, at its place in the patient."""
        across, down = (a for a in range(3) if a != self.axis)
        lower, upper = content
        corners = np.empty((4, 3))
        corners[:, self.axis] = index
        corners[:, across] = np.array([lower[across], upper[across], upper[across], lower[across]]) - 0.5
        corners[:, down] = np.array([lower[down], lower[down], upper[down], upper[down]]) - 0.5
        points = volume.geometry.index_to_lps(corners)
        self._quad.points = points
        self._border.points = points
        page = np.moveaxis(volume.array, 2 - self.axis, 0)[index]
        if self._even is not None:
            shown = (self._even.source >= lower[down]) & (self._even.source < upper[down])
            page = self._even.mixed(page[:, lower[across] : upper[across]])[shown]
        else:
            page = page[lower[down] : upper[down], lower[across] : upper[across]]
        step = max(1, -(-max(page.shape) // _MOST_TEXTURE))
        grey = to_grey8(np.ascontiguousarray(page[::step, ::step]), window)
        pixels = np.empty((*grey.shape, 2), dtype=np.uint8)
        pixels[..., 0] = grey
        pixels[..., 1] = np.where(_body(grey), 255, 0)
        self._set_pixels(pixels)

    def _set_pixels(self, pixels: NDArray[np.uint8]) -> None:
        rows, columns, channels = pixels.shape
        # VTK does not own the memory.
        self._pixels = pixels
        self._image.SetDimensions(columns, rows, 1)
        scalars = numpy_to_vtk(pixels.reshape(-1, channels), deep=False, array_type=VTK_UNSIGNED_CHAR)
        self._image.GetPointData().SetScalars(scalars)
        self._image.Modified()

    def set_visible(self, visible: bool) -> None:
        """Show or hide the slice with its frame."""
        self.actor.SetVisibility(visible)
        self.frame.SetVisibility(visible)


class Scene3D:
    """Everything in the 3D view. Changes take effect at the next ``render`` of the plotter."""

    def __init__(self, plotter: pv.BasePlotter, colours: SceneColours, *, smooth_edges: str = "fxaa") -> None:
        self._plotter = plotter
        self._colours = colours
        self._volume: Volume | None = None
        self._content: Bounds = (np.zeros(3, dtype=int), np.ones(3, dtype=int))
        self._slices: list[_SlicePicture] = []
        self._lesion: pv.Actor | None = None
        self._ghost: pv.Actor | None = None
        self._head: pv.Actor | None = None
        self._box: pv.Actor | None = None
        self._box_lines: pv.PolyData | None = None
        self.slices_visible = True
        self.head_visible = True
        plotter.set_background(colours.ground_bottom, top=colours.ground_top)
        plotter.enable_anti_aliasing(smooth_edges)

    def set_volume(self, volume: Volume | None, content: tuple[ArrayLike, ArrayLike] | None = None) -> None:
        """Show another scan; surface, head and box of the one before go.

        ``content`` are the lower and upper faces (i, j, k) of the part worth seeing; default all of it.
        """
        for picture in self._slices:
            self._plotter.remove_actor([picture.actor, picture.frame], render=False)
        self._slices = []
        self.set_lesion(None)
        self.set_head(None)
        self.set_boxes(())
        self._volume = volume
        if volume is not None:
            size = np.asarray(volume.geometry.size)
            lower, upper = content if content is not None else (np.full(3, -0.5), size - 0.5)
            self._content = (
                np.clip(np.ceil(np.asarray(lower)).astype(int), 0, size - 1),
                np.clip(np.floor(np.asarray(upper)).astype(int) + 1, 1, size),
            )
            order = _lps_axes(volume.geometry)
            even = EvenSlices.about(volume.geometry, _TEXTURE_MM) if volume.geometry.is_uneven else None
            for colour, axis in zip(self._colours.frames, order, strict=True):
                self._slices.append(_SlicePicture(self._plotter, axis, even, colour))
            self.set_slices_visible(self.slices_visible)

    def set_cursor(self, ijk: ArrayLike, window: Window) -> None:
        """Show the slices through voxel (i, j, k)."""
        if self._volume is None:
            return
        for picture in self._slices:
            last = self._volume.geometry.size[picture.axis] - 1
            index = int(np.clip(np.floor(np.asarray(ijk)[picture.axis] + 0.5), 0, last))
            picture.show(self._volume, self._content, index, window)
        self._plotter.renderer.reset_camera_clipping_range()

    def set_lesion(self, mesh: Mesh | None) -> None:
        """Show the haematoma's surface."""
        if mesh is None:
            self._drop("_lesion")
            self._drop("_ghost")
            return
        surface = _poly_data(mesh)
        if self._lesion is not None and self._ghost is not None:
            self._lesion.mapper.SetInputData(surface)
            self._ghost.mapper.SetInputData(surface)
            return
        self._ghost = self._plotter.add_mesh(
            surface,
            color=self._colours.lesion,
            opacity=_GHOST_OPACITY,
            culling="back",
            lighting=False,
            pickable=False,
            reset_camera=False,
            render=False,
        )
        # What the slices hide of the haematoma shines through them.
        mapper = self._ghost.mapper
        mapper.SetResolveCoincidentTopologyToPolygonOffset()
        mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(0.0, _IN_FRONT)
        self._lesion = self._plotter.add_mesh(
            surface,
            color=self._colours.lesion,
            smooth_shading=True,
            specular=0.35,
            specular_power=18,
            ambient=0.18,
            diffuse=0.85,
            reset_camera=False,
            render=False,
        )

    def set_head(self, outline: Mesh | None) -> None:
        """Show the head's outline as a pale shell."""
        self._drop("_head")
        if outline is not None:
            self._head = self._plotter.add_mesh(
                _poly_data(outline),
                color=self._colours.head,
                opacity=0.10,
                smooth_shading=True,
                culling="front",
                specular=0.2,
                pickable=False,
                reset_camera=False,
                render=False,
            )
            self._head.SetVisibility(self.head_visible)

    def set_boxes(self, boxes: Sequence[BoxPrompt]) -> None:
        """Show the edges of the prompt's boxes on the scan's grid."""
        if not boxes or self._volume is None:
            self._drop("_box")
            return
        geometry = self._volume.geometry
        ends = [box.index_bounds(geometry) for box in boxes]
        corners = np.array([[pair[(n >> axis) & 1][axis] for axis in range(3)] for pair in ends for n in range(8)])
        points = geometry.index_to_lps(corners)
        if self._box is not None and self._box_lines is not None and self._box_lines.n_points == len(points):
            self._box_lines.points = points
            return
        self._drop("_box")
        lines = np.array([[2, 8 * n + a, 8 * n + b] for n in range(len(boxes)) for a, b in _BOX_EDGES]).ravel()
        self._box_lines = pv.PolyData(points, lines=lines)
        self._box = self._plotter.add_mesh(
            self._box_lines, color=self._colours.box, line_width=2, lighting=False, reset_camera=False, render=False
        )

    def set_slices_visible(self, visible: bool) -> None:
        """Show or hide the slices."""
        self.slices_visible = visible
        for picture in self._slices:
            picture.set_visible(visible)

    def set_head_visible(self, visible: bool) -> None:
        """Show or hide the head's outline."""
        self.head_visible = visible
        if self._head is not None:
            self._head.SetVisibility(visible)

    def look_from(self, direction: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> None:
        """Look at the head's middle from ``direction`` (LPS), the whole head in sight."""
        if self._volume is None:
            return
        lower, upper = (edge - 0.5 for edge in self._content)
        corners = np.array([[(lower, upper)[(n >> axis) & 1][axis] for axis in range(3)] for n in range(8)])
        points = self._volume.geometry.index_to_lps(corners)
        middle = points.mean(axis=0)
        way = np.asarray(direction, dtype=np.float64)
        distance = float(np.linalg.norm(points - middle, axis=1).max())
        camera = self._plotter.camera
        camera.focal_point = tuple(middle)
        # The sphere round the corners just fits the angle of view; the head fills less than its corners.
        reach = 0.82 * distance / np.sin(np.radians(camera.view_angle / 2))
        camera.position = tuple(middle + way / np.linalg.norm(way) * reach)
        camera.up = tuple(np.asarray(up, dtype=np.float64))

    def add_directions(self) -> None:
        """Put the small marker of the patient's directions (L, P, S) into a corner."""
        self._plotter.add_axes(
            xlabel="L", ylabel="P", zlabel="S", line_width=2, color=self._colours.text,
            x_color=self._colours.frames[1], y_color=self._colours.frames[2], z_color=self._colours.frames[0],
            viewport=(0.0, 0.0, 0.2, 0.26),
        )  # fmt: skip

    def _drop(self, name: str) -> None:
        """Take the actor kept in ``self.<name>`` out of the scene."""
        actor = getattr(self, name)
        if actor is not None:
            self._plotter.remove_actor(actor, render=False)
            setattr(self, name, None)


def _body(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of the head on a slice; the air round it is seen through, so that three slices do not wall up the scene.

    Looks at blocks of 2 x 2 pixels, which keeps single bright pixels of noise out.
    """
    rows, columns = grey.shape

    def fine(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(blocks.repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns])

    padded = np.pad(grey, ((0, rows % 2), (0, columns % 2)), mode="edge")
    blocks = padded.reshape(len(padded) // 2, 2, -1, 2).mean(axis=(1, 3))
    body = ndimage.binary_fill_holes(ndimage.binary_opening(blocks > _AIR_GREY))
    # Along the skin pixel by pixel, inside whatever the greys are.
    inside = ndimage.binary_erosion(body, iterations=2)
    return fine(inside) | (fine(body) & (grey > 2 * _AIR_GREY))


def _poly_data(mesh: Mesh) -> pv.PolyData:
    surface = pv.PolyData.from_regular_faces(mesh.points, mesh.triangles)
    return surface.compute_normals(cell_normals=False, split_vertices=False, consistent_normals=False)


def _lps_axes(geometry: Geometry) -> tuple[int, int, int]:
    """The voxel axes that lie across the axial, sagittal and coronal slices."""
    from hemaview.imaging import Plane, plane_view

    axial, sagittal, coronal = (
        plane_view(geometry, plane).slice_axis for plane in (Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL)
    )
    return axial, sagittal, coronal
