"""Open every file below some folders, and damaged copies of each, and say what came of them.

    python tests/imaging/fuzz_readers.py [PATH ...] [--mutants 24] [--seed 1] [--json FILE] [--table FILE]

Without paths, the real scans' odd_files and dicom_series are taken (HEMAVIEW_SHARED, or ../shared/data). Every trial
runs in a process of its own with a limit of time and of memory. Needs a POSIX system. Exits with 1 when a reader
crashed, hung, took too much memory, failed without a sentence, or gave a volume that its header does not state.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing.subjects import Report, report_on
from fuzzing.trial import FAULTS, Limits

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the command; the exit status."""
    options = _options()
    paths = options.paths or _real_scans()
    subjects = [(file, str(file.relative_to(path.parent))) for path in paths for file in _files(path)]
    run = partial(_report, options.mutants, options.seed, Limits(options.seconds, memory=options.memory))
    began = time.monotonic()
    reports = []
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for report in pool.imap(run, subjects):
            reports.append(report)
            if options.verbose or report.faults:
                print(_line(report), file=sys.stderr, flush=True)
    reports.sort(key=lambda report: report.name)
    text = "\n".join(_table(reports, time.monotonic() - began))
    print(text)
    if options.table:
        options.table.write_text(text + "\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(report) for report in reports], indent=1))
    return int(any(report.faults for report in reports))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders")
    parser.add_argument("--mutants", type=int, default=24, help="damaged copies of each file (a quarter of large ones)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10, help="limit of work of a trial")
    parser.add_argument("--memory", type=int, default=1536, help="limit of a trial in MiB")
    parser.add_argument("--jobs", type=int, default=1, help="files looked at side by side")
    parser.add_argument("--json", type=Path, help="write every report there")
    parser.add_argument("--table", type=Path, help="write the table there")
    parser.add_argument("--verbose", action="store_true", help="a line for every file as it is done")
    return parser.parse_args()


def _real_scans() -> list[Path]:
    named = os.environ.get("HEMAVIEW_SHARED")
    for folder in (Path(named), Path(named) / "data") if named else (ROOT.parent / "shared" / "data",):
        if (folder / "odd_files").is_dir():
            return [folder / "odd_files", folder / "dicom_series"]
    raise SystemExit("no real scans here; name files or folders, or set HEMAVIEW_SHARED")


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or a folder's files and those of its folders that hold several, each opened as one."""
    if path.is_file():
        yield path
        return
    for found in sorted(path.rglob("*")):
        if found.is_file() or sum(p.is_file() for p in found.iterdir()) > 1:
            yield found


def _report(mutants: int, seed: int, limits: Limits, subject: tuple[Path, str]) -> Report:
    return report_on(*subject, mutants, seed, limits)


def _table(reports: list[Report], seconds: float) -> Iterator[str]:
    totals: dict[str, int] = {}
    for report in reports:
        for end, count in report.ends.items():
            totals[end] = totals.get(end, 0) + count
    tried = sum(totals.values())
    yield f"{len(reports)} files and folders, {tried} damaged copies, {seconds:.0f} s."
    yield "Damaged copies: " + ", ".join(f"{count} {end}" for end, count in sorted(totals.items())) + "."
    faults = sum(len(report.faults) for report in reports)
    slowest, most = max(r.slowest for r in reports), max(r.most_memory for r in reports)
    yield f"Faults: {faults}. Slowest trial {slowest:.1f} s, most memory taken by one {most} MiB."
    yield ""
    yield "| file | as it is | size, spacing in mm, or reason | damaged copies | faults |"
    yield "|---|---|---|---|---|"
    yield from (_line(report) for report in reports)


def _line(report: Report) -> str:
    whole = report.whole
    shown = whole.text
    if whole.size:
        shown = f"{'x'.join(map(str, whole.size))}, {'x'.join(f'{s:.4g}' for s in whole.spacing)}"
        shown += " uneven" if whole.places else ""
        shown += f" ({whole.text})" if whole.text else ""
    ends = ", ".join(f"{count} {end}" for end, count in sorted(report.ends.items()) if end not in FAULTS)
    faults = "; ".join(f"#{f.number} {f.kind}: {f.end} ({f.text})" for f in report.faults)
    return f"| {report.name} | {whole.end} | {shown.replace('|', '/')} | {ends} | {faults.replace('|', '/')} |"


if __name__ == "__main__":
    raise SystemExit(main())
