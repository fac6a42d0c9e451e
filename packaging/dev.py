"""One command from a fresh checkout to a running program, its tests or its checks.

    python3 packaging/dev.py demo            set up, then open the sample case (without a screen: write hemaview-demo/)
    python3 packaging/dev.py test [ARGS]     set up, then run the tests on a virtual display of their own
    python3 packaging/dev.py run [FILES]     set up, then open the window
    python3 packaging/dev.py lint [--fix]    ruff, mypy and the import contracts
    python3 packaging/dev.py bench [ARGS]    the table of engines against the real scans
    python3 packaging/dev.py guide           make the pictures of the user guide again
    python3 packaging/dev.py setup           only set up

Everything goes into .venv beside pyproject.toml, at the versions of packaging/constraints.txt. Needs the standard
library alone, and any Python from 3.7 on to start: it looks for a suitable one itself.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import types
from pathlib import Path

from console import SetupError, call, child_environment, say, show_progress
from environment import set_up
from screen import SCREEN_LIBRARIES, SECOND_OPINIONS, VIRTUAL_DISPLAY, VirtualDisplays, install_debian_packages

ROOT = Path(__file__).resolve().parents[1]


def program(wanted: str | None) -> list[str]:
    """How to run one of the installed modules from the caller's folder.

    -P, because that folder may hold the checkout under the name of the package, which would hide it.
    """
    return [str(set_up(ROOT, wanted)), "-P", "-m"]


def demo(arguments: list[str], wanted: str | None) -> int:
    """Open the sample case; without a screen the program writes the same into hemaview-demo/."""
    install_debian_packages(SCREEN_LIBRARIES)
    return call([*program(wanted), "hemaview", "demo", *arguments])


def run(arguments: list[str], wanted: str | None) -> int:
    """Open the window with the given files."""
    install_debian_packages(SCREEN_LIBRARIES)
    return call([*program(wanted), "hemaview", *arguments])


def workers(arguments: list[str]) -> int:
    """How many test processes: one a core up to four, and one where the caller asks for a debugger or a number."""
    if any(re.match(r"(-n|--numprocesses|--pdb|--trace|--collect-only|--co)\b", argument) for argument in arguments):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, 4))


def test(arguments: list[str], wanted: str | None) -> int:
    """Run the tests, windows included, on virtual displays of their own."""
    virtual = sys.platform.startswith("linux")
    install_debian_packages(VIRTUAL_DISPLAY + SCREEN_LIBRARIES + SECOND_OPINIONS)
    python = set_up(ROOT, wanted)
    count = workers(arguments)
    environment = child_environment()
    # One thread a worker: two thread pools on two cores spend their time waiting for one another.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"):
        environment[variable] = "1"
    command = [str(python), "-m", "pytest"]
    if count > 1:
        command += ["-n", str(count), "--dist", "worksteal"]
    command += arguments
    if not virtual:
        return call(command, environment, ROOT)
    with VirtualDisplays(count) as displays:
        say(f"Testing in {count} process{'es' if count > 1 else ''} on virtual display {' '.join(displays.names)}")
        for variable in ("WAYLAND_DISPLAY", "XAUTHORITY"):
            environment.pop(variable, None)
        environment.update(
            DISPLAY=displays.names[0],
            HEMAVIEW_TEST_DISPLAYS=" ".join(displays.names),
            QT_QPA_PLATFORM="xcb",
            LIBGL_ALWAYS_SOFTWARE="1",
        )
        return call(command, environment, ROOT)


def lint(arguments: list[str], wanted: str | None) -> int:
    """Check style, types and which part may import which; `--fix` lets ruff repair what it can."""
    python = str(set_up(ROOT, wanted))
    fix = arguments == ["--fix"]
    if arguments and not fix:
        raise SetupError(f"lint takes --fix or nothing, not {' '.join(arguments)}.")
    # import-linter has no __main__.
    contracts = "from importlinter.cli import lint_imports_command as check; check()"
    checks = {
        "ruff check": ["-m", "ruff", "check", *(["--fix"] if fix else []), "."],
        "ruff format": ["-m", "ruff", "format", *([] if fix else ["--check"]), "."],
        "mypy": ["-m", "mypy"],
        "import contracts": ["-c", contracts],
    }
    failed = []
    for name, command in checks.items():
        say(name)
        if call([python, *command], cwd=ROOT) != 0:
            failed.append(name)
    say(f"Failed: {', '.join(failed)}" if failed else "All checks passed")
    return 1 if failed else 0


def bench(arguments: list[str], wanted: str | None) -> int:
    """Compare the engines on the real scans: those of --data, HEMAVIEW_SHARED or ../shared/data beside the checkout."""
    if not any(argument.split("=")[0] in ("--data", "--help", "-h") for argument in arguments):
        data = Path(os.environ.get("HEMAVIEW_SHARED") or ROOT.parent / "shared" / "data")
        if not data.is_dir():
            raise SetupError(f"There is no folder {data}: name the one with the real scans by --data FOLDER.")
        arguments = ["--data", str(data), *arguments]
    return call([*program(wanted), "hemaview.evaluation.benchmark", *arguments])


def guide(arguments: list[str], wanted: str | None) -> int:
    """Make docs/guide/*.png again, from the real window without a screen."""
    if arguments:
        raise SetupError(f"guide takes no {arguments[0]}.")
    install_debian_packages(SCREEN_LIBRARIES)
    return call([str(set_up(ROOT, wanted)), str(ROOT / "packaging" / "guide_pictures.py")])


def setup(arguments: list[str], wanted: str | None) -> int:
    """Only set up."""
    if arguments:
        raise SetupError(f"setup takes no {arguments[0]}.")
    install_debian_packages(VIRTUAL_DISPLAY + SCREEN_LIBRARIES + SECOND_OPINIONS)
    set_up(ROOT, wanted)
    return 0


COMMANDS = {"demo": demo, "test": test, "run": run, "lint": lint, "bench": bench, "guide": guide, "setup": setup}


def stop(number: int, frame: types.FrameType | None) -> None:
    """End on SIGTERM as on Ctrl+C, so that the virtual displays end too."""
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run one command and give the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=True
    )
    parser.add_argument("--cuda", action="store_const", const="cuda", dest="build", help="take the CUDA build of torch")
    parser.add_argument(
        "--cpu", action="store_const", const="cpu", dest="build", help="go back to the CPU build of torch"
    )
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="passed on to the program, to pytest or to the table"
    )
    options = parser.parse_args(arguments)
    rest = [argument for argument in options.arguments if argument not in ("--cuda", "--cpu")]
    for build in ("cuda", "cpu"):
        if f"--{build}" in options.arguments:
            options.build = build
    signal.signal(signal.SIGTERM, stop)
    # A shell starts background jobs with Ctrl+C ignored, and what is ignored here stays ignored in every test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return COMMANDS[options.command](rest, options.build)
    except SetupError as error:
        show_progress("")
        print(f"dev.py: {error}", file=sys.stderr)
        if error.log is not None:
            tail = error.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
            print("\n".join(["", *tail, "", f"The whole log: {error.log}"]), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"dev.py: {error.strerror or error} ({error.filename or 'no file named'}).", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev.py: stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
