"""Writing DICOM pictures without what says who the patient is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hemaview.errors import ExportError, ScanError
from hemaview.imaging.catalogue.looking import Kind, look_at
from hemaview.imaging.catalogue.places import places_of
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.series import Series, find_series, group_series
from hemaview.imaging.reading.dicom.stack import Stack
from hemaview.imaging.reading.sources import Source, folder_sources
from hemaview.interchange.cleaned_file import NotCleaned, cleaned_file
from hemaview.interchange.dates import Dates
from hemaview.interchange.new_folder import new_folder
from hemaview.interchange.pseudonyms import Pseudonyms
from hemaview.interchange.report import Report, WrittenSeries, save_report

Progress = Callable[[int, int], None]
"""Called with files done and files in all, 0 in all while they are being counted; may raise ``Cancelled``."""

_FACE = "A face can be made visible from a scan of the whole head, so pass it on only to people who may see it."
_SCALING = ("slope", "intercept", "rescale_type", "scale_slope", "padding", "bits_stored", "signed", "photometric")
_Files = Mapping[Source, tuple[Instance, ...]]


def deidentify(
    paths: Sequence[Path | str],
    destination: Path | str,
    *,
    series_uid: str | None = None,
    dates: Dates = Dates.REMOVE,
    with_screenshots: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Write the DICOM pictures below ``paths`` into the new folder ``destination``, de-identified.

    ``paths`` are folders, DICOMDIRs, zips and files; a DICOM file stands for itself. With ``series_uid``, a
    SeriesInstanceUID or the ``uid`` of a ``SeriesSummary``, only that series is written, and a DICOM file stands for
    the files beside it. Files are named by numbers (patient-1/study-1/series-1/00001.dcm), pixel data are copied bit
    by bit, and the same patient or UID is replaced alike in all of them. Pictures that may show text are left out
    unless ``with_screenshots``. ``report.json`` beside them says what was done.

    Raises ``ScanError`` when there is nothing to write, ``ExportError`` when ``destination`` is not an empty folder
    or cannot be written; then, and when ``progress`` raises ``Cancelled``, nothing is left behind.
    """
    report = progress or (lambda done, total: None)
    with ExitStack() as archives:
        files, left_out = _files(paths, archives, lambda: report(0, 0), siblings=series_uid is not None)
        if series_uid is not None:
            files, left_out = _of_series(files, series_uid), Counter()
        if not files:
            raise ScanError("No DICOM picture was found there; choose the folder that holds the scan.")
        with new_folder(Path(destination), "The de-identified files") as folder:
            export = _Export(folder, dates, with_screenshots, left_out=left_out)
            for done, (source, name) in enumerate(_named(files), start=1):
                export.write(source, name)
                report(done, len(files))
            if not export.written:
                raise ExportError(f"Nothing was written, because what was found {export.main_reason}.")
            made = export.report(files)
            save_report(made, folder)
    return made


def _files(
    paths: Sequence[Path | str], archives: ExitStack, report: Callable[[], None], *, siblings: bool
) -> tuple[_Files, Counter[str]]:
    """The DICOM files with the pictures in each, and how many files are left out for which reason."""
    places = places_of(paths, archives, lambda found: report(), siblings=siblings)
    if not places.sources and places.notes:
        raise ScanError(places.notes[0])
    found: dict[Source, tuple[Instance, ...]] = {}
    left_out: Counter[str] = Counter()
    for source in places.sources:
        look = look_at(source)
        if look.kind is Kind.PICTURES:
            found[source] = look.pictures
        elif look.kind is Kind.WHOLE_SCAN:
            left_out["is no DICOM file"] += 1
        elif look.kind is not Kind.DIRECTORY:
            left_out[f"is {look.kind.value}"] += 1
        report()
    return found, left_out


def _of_series(files: _Files, uid: str) -> _Files:
    """The files in which the series with this UID, or one part of it, has pictures."""
    return {
        picture.source: files[picture.source]
        for series in _series_in(files)
        if uid in (series.summary.uid, series.instances[0].series_uid)
        for picture in series.instances
    }


def _series_in(files: _Files) -> tuple[Series, ...]:
    return group_series(picture for pictures in files.values() for picture in pictures)


def _named(files: _Files) -> Iterator[tuple[Source, Path]]:
    """Each file with its new name: patients, studies, series and pictures counted from 1."""

    def order(source: Source) -> tuple[str | int, ...]:
        first = files[source][0]
        study = first.study
        series, number = first.series_number or 0, first.instance_number or 0
        return study.patient, study.date, study.study, series, first.series_uid, number

    counts: Counter[Path] = Counter()
    folders: dict[tuple[Path, str], Path] = {}

    def folder(parent: Path, kind: str, key: str) -> Path:
        if (parent / kind, key) not in folders:
            counts[parent / kind] += 1
            folders[parent / kind, key] = parent / f"{kind}-{counts[parent / kind]}"
        return folders[parent / kind, key]

    for source in sorted(files, key=order):
        first = files[source][0]
        patient = folder(Path(), "patient", first.study.patient or first.study.study)
        series = folder(folder(patient, "study", first.study.study), "series", first.series_uid)
        counts[series] += 1
        yield source, series / f"{counts[series]:05d}.dcm"


@dataclass
class _Export:
    """The export while it is written."""

    folder: Path
    dates: Dates
    with_screenshots: bool
    left_out: Counter[str]
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    written: dict[Source, Path] = field(default_factory=dict)
    shows_text: int = 0

    def write(self, source: Source, name: Path) -> None:
        """Write one file under its new name, or count why it is left out."""
        try:
            cleaned = cleaned_file(source, self.pseudonyms, self.dates)
        except NotCleaned as reason:
            self.left_out[str(reason)] += 1
            return
        if cleaned.may_show_text and not self.with_screenshots:
            self.left_out["may show the patient's name in the picture"] += 1
            return
        self.shows_text += cleaned.may_show_text
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(cleaned.data)
        self.written[source] = name

    @property
    def main_reason(self) -> str:
        """Why most files were left out."""
        return self.left_out.most_common(1)[0][0]

    def report(self, files: _Files) -> Report:
        """What was written, and whether it opens as before."""
        before = _by_series(_series_in({source: files[source] for source in self.written}))
        after = _by_series(find_series(tuple(folder_sources(self.folder, recursive=True))))
        series = tuple(self._written(uid, stacks, after) for uid, stacks in before.items())
        return Report(
            patients=len({name.parts[0] for name in self.written.values()}),
            dates=self.dates,
            series=tuple(sorted(series, key=lambda written: written.folder)),
            left_out=dict(self.left_out),
            warnings=tuple(self._warnings(series)),
        )

    def _written(self, uid: str, stacks: list[Series], after: Mapping[str, list[Series]]) -> WrittenSeries:
        names = {self.written[p.source] for series in stacks for p in series.instances}
        largest = max(
            (series.summary.size or (0, 0, 0) for series in stacks), key=lambda size: size[0] * size[1] * size[2]
        )
        return WrittenSeries(
            folder=min(names).parent.as_posix(),
            modality=stacks[0].summary.modality,
            files=len(names),
            size=largest if any(largest) else None,
            opens_as_before=_grids(stacks) == _grids(after.get(self.pseudonyms.uid(uid), [])),
        )

    def _warnings(self, series: Iterable[WrittenSeries]) -> Iterator[str]:
        yield _FACE
        if self.shows_text:
            pictures = "1 picture" if self.shows_text == 1 else f"{self.shows_text} pictures"
            yield f"{pictures} may show the patient's name; look at each before passing it on."
        changed = [written.folder for written in series if not written.opens_as_before]
        if changed:
            needed = "private elements or times" if self.dates is Dates.REMOVE else "private elements"
            yield f"{', '.join(sorted(changed))}: opens differently than before, because its {needed} were removed."


def _by_series(found: Iterable[Series]) -> dict[str, list[Series]]:
    by_uid: dict[str, list[Series]] = {}
    for series in found:
        by_uid.setdefault(series.instances[0].series_uid, []).append(series)
    return by_uid


def _grids(stacks: Iterable[Series]) -> list[str]:
    """What can be done with each stack, its grid, and how its values come from those stored; comparable."""
    return sorted(f"{s.summary.verdict} {s.stack.geometry} {_scaling(s.stack)}" for s in stacks if s.stack)


def _scaling(stack: Stack) -> list[tuple[object, ...]]:
    return [tuple(getattr(picture, name) for name in _SCALING) for picture in stack.instances]
