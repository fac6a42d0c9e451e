"""One command from a fresh checkout to a running program, its tests or its checks.

    python3 packaging/dev.py demo            set up, then open the sample case (without a screen: write hemaview-demo/)
    python3 packaging/dev.py test [ARGS]     set up, then run the tests on a virtual display of their own
    python3 packaging/dev.py run [FILES]     set up, then open the window
    python3 packaging/dev.py lint [--fix]    ruff, mypy and the import contracts
    python3 packaging/dev.py bench [ARGS]    the table of engines against the real scans
    python3 packaging/dev.py setup           only set up

Everything goes into .venv beside pyproject.toml, at the versions of packaging/constraints.txt. Needs the standard
library alone, and any Python from 3.7 on to start: it looks for a suitable one itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = (3, 11), (3, 13)
STAMP = "hemaview-setup.json"
SETUP_REVISION = 1
EXTRAS = "train,dev"

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH_CUDA_INDEX = "https://download.pytorch.org/whl/cu130"
REQUIRED_GB = {"cpu": 4, "cuda": 10}

SCREEN_LIBRARIES = [
    "libxcb1",
    "libgl1",
    "libegl1",
    "libdbus-1-3",
    "libfontconfig1",
    "libglib2.0-0",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-image0",
    "libxcb-keysyms1",
    "libxcb-render-util0",
    "libxcb-render0",
    "libxcb-shape0",
    "libxcb-util1",
    "libxcb-xkb1",
    "libxkbcommon-x11-0",
    "libxkbcommon0",
]
VIRTUAL_DISPLAY = ["xvfb", "xauth"]
SECOND_OPINIONS = ["admesh"]

STARTED = time.monotonic()


class SetupError(Exception):
    """What went wrong and what to do, in one sentence; `log` is the file with the details."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log


def say(text: str) -> None:
    """Print one line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def show_progress(text: str) -> None:
    """Overwrite the terminal's current line; nothing where the output is a file."""
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - 12
        print("\r\x1b[K" + (f"{'':11}{text[:room]}" if text else ""), end="", flush=True)


def child_environment() -> dict[str, str]:
    """The environment without what would point Python or pip away from .venv."""
    misleading = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
    environment = {name: value for name, value in os.environ.items() if name not in misleading}
    environment.update(PYTHONNOUSERSITE="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return environment


def call(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a command in the foreground and give its exit code; on Ctrl+C let it end by itself first."""
    process = subprocess.Popen(command, env=environment or child_environment(), cwd=None if cwd is None else str(cwd))
    try:
        return process.wait()
    except BaseException:
        try:
            process.wait(timeout=5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.terminate()
        raise


# --- Python -----------------------------------------------------------------------------------------------------------

PROBE = (
    "import sys, importlib.util as u; "
    "print(*sys.version_info[:2], sys.implementation.name, int(sys.maxsize > 2**32), "
    "int(all(u.find_spec(m) for m in ('venv', 'ensurepip'))))"
)


def probe_python(command: list[str]) -> tuple[tuple[int, int], bool] | None:
    """Version of an interpreter and whether it can make virtual environments; None where it does not suit."""
    try:
        answer = subprocess.run([*command, "-c", PROBE], capture_output=True, text=True, timeout=30)
        major, minor, name, wide, venv = answer.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    version = (int(major), int(minor))
    if not OLDEST <= version <= NEWEST or name != "cpython" or wide != "1":
        return None
    return version, venv == "1"


def python_candidates() -> list[list[str]]:
    """Interpreters to try: the one running, then the newest suitable one on the search path."""
    candidates = [[sys.executable]] if sys.executable else []
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        if os.name == "nt":
            candidates.append(["py", f"-3.{minor}"])
        found = shutil.which(f"python3.{minor}")
        candidates += [[path] for path in (found, f"/usr/bin/python3.{minor}") if path and Path(path).exists()]
    return candidates


def find_python() -> list[str]:
    """The command of a Python this program runs on; raises SetupError with what to install where there is none."""
    without_venv = None
    for command in python_candidates():
        suited = probe_python(command)
        if suited is None:
            continue
        if suited[1]:
            return command
        without_venv = without_venv or (command, suited[0])
    if without_venv is not None:
        command, version = without_venv
        package = f"python{version[0]}.{version[1]}-venv"
        if install_debian_packages([package]):
            return command
        raise SetupError(
            f"{command[0]} lacks the venv module: install {package} (or python3-venv), then run this again."
        )
    running = ".".join(str(part) for part in sys.version_info[:3])
    raise SetupError(
        f"HEMAVIEW needs 64-bit CPython {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, and this is {running}: "
        "install one of those from your system's packages or python.org, then run this again."
    )


def venv_python(root: Path) -> Path:
    """Where the virtual environment's interpreter is, existing or not."""
    return root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv(root: Path) -> None:
    """Make .venv, or keep the one that works."""
    folder, python = root / ".venv", venv_python(root)
    if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
        raise SetupError(f"{folder} exists and is no virtual environment: move it away, then run this again.")
    if python.exists() and probe_python([str(python)]) is not None:
        with_pip = subprocess.run([str(python), "-c", "import pip"], capture_output=True, env=child_environment())
        if with_pip.returncode == 0:
            return
    command = find_python()
    say(f"Making the virtual environment {folder}")
    made = subprocess.run(
        [*command, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True, env=child_environment()
    )
    if made.returncode != 0:
        reason = (made.stderr or made.stdout).strip().splitlines()[-1:]
        raise SetupError(f"The virtual environment could not be made: {''.join(reason) or 'no reason was given'}.")


# --- Packages ---------------------------------------------------------------------------------------------------------


def fingerprint(root: Path, build: str) -> str:
    """One hash over everything the installed packages depend on."""
    digest = hashlib.sha256(f"{SETUP_REVISION} {build} {EXTRAS} {root}".encode("utf-8", "surrogateescape"))
    for file in ("pyproject.toml", "packaging/constraints.txt", ".venv/pyvenv.cfg"):
        path = root / file
        digest.update(path.read_bytes() if path.exists() else b"absent")
    return digest.hexdigest()


def read_stamp(root: Path) -> dict[str, str]:
    """What the last complete set-up left; empty where there was none."""
    try:
        stamp = json.loads((root / ".venv" / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def pinned_torch(root: Path) -> str:
    """The version of torch in the constraints; its builds share it and differ in the local part."""
    pins = (root / "packaging" / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(r"^torch==([\d.]+)$", pins, re.MULTILINE)
    if found is None:
        raise SetupError("packaging/constraints.txt has no line 'torch==VERSION': restore it, then run this again.")
    return found.group(1)


class Installer:
    """pip inside .venv: one log for the whole set-up, one sentence for each failure."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / ".venv" / "install.log"
        self.python = str(venv_python(root))

    def pip(self, *arguments: str) -> str | None:
        """Run `pip install`; None when it succeeded, else its output."""
        command = [self.python, "-m", "pip", "install", "--progress-bar", "off", "--only-binary", ":all:"]
        command += ["--retries", "3", *arguments]
        lines = []
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(shlex.quote(part) for part in command)}\n")
            process = subprocess.Popen(
                command,
                cwd=str(self.root),
                env=child_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    log.write(line)
                    lines.append(line)
                    doing = re.match(r"\s*(Collecting|Downloading|Installing collected packages)\b[: ]*([^\s,]*)", line)
                    if doing:
                        show_progress(" ".join(doing.groups()))
            finally:
                show_progress("")
                if process.poll() is None:
                    process.terminate()
                process.wait()
        return None if process.returncode == 0 else "".join(lines)

    def require(self, what: str, *arguments: str) -> None:
        """Run `pip install` and raise SetupError where it fails."""
        output = self.pip(*arguments)
        if output is not None:
            raise SetupError(f"{what} could not be installed: {explain(output)}", self.log)

    def installed_torch(self) -> str:
        """Version of torch in .venv, empty where there is none."""
        code = "import importlib.metadata as m\ntry: print(m.version('torch'))\nexcept m.PackageNotFoundError: pass"
        answer = subprocess.run(
            [self.python, "-I", "-c", code], capture_output=True, text=True, env=child_environment()
        )
        return answer.stdout.strip()

    def torch(self, build: str) -> None:
        """Install the wanted build of torch.

        The public index's build for Linux is the CUDA one, so the CPU build is looked for first in the configured
        index and wheel folders, then in torch's own index. Without the constraints, whose plain version would turn
        "there is no such build" into a conflict.
        """
        pinned = pinned_torch(self.root)
        if not needs_torch(self.installed_torch(), pinned, build, sys.platform):
            return
        if build == "cuda":
            say(f"Installing torch {pinned}, the CUDA build (about 3 GB with its libraries)")
            if sys.platform == "win32":
                self.require("torch", "--no-deps", "--index-url", TORCH_CUDA_INDEX, f"torch=={pinned}+cu130")
            else:
                # Three equals signs: a build with a local version, such as 2.13.0+cpu, does not match.
                self.require("torch", "--no-deps", f"torch==={pinned}")
            return
        say(f"Installing torch {pinned}, the CPU build (about 200 MB)")
        if not sys.platform.startswith("linux"):
            self.require("torch", "--no-deps", f"torch=={pinned}")
            return
        cpu = f"torch=={pinned}+cpu"
        for source in ([], ["--index-url", TORCH_CPU_INDEX]):
            if source and not answers(TORCH_CPU_INDEX + "/torch/"):
                break
            output = self.pip("--no-deps", *source, cpu)
            if output is None:
                return
            if "No matching distribution" not in output:
                raise SetupError(f"torch could not be installed: {explain(output)}", self.log)
        say("No CPU build can be reached: taking the CUDA build, about 3 GB, which runs on the CPU too")
        self.require("torch", "--no-deps", f"torch=={pinned}")


def needs_torch(installed: str, pinned: str, build: str, platform: str) -> bool:
    """Whether the installed torch ('2.13.0+cpu', '2.13.0', '' ...) has to be replaced for this build."""
    version, _, local = installed.partition("+")
    if version != pinned:
        return True
    if build == "cuda":
        return local == "cpu" or (platform == "win32" and not local)
    return platform.startswith("linux") and local != "cpu"


def answers(url: str) -> bool:
    """Whether a host answers within a few seconds, directly or through the configured proxy."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # pip may trust a certificate that this interpreter does not know.
        return "CERTIFICATE" in str(error.reason)
    except OSError:
        return False
    return True


def explain(output: str) -> str:
    """The likely cause of a failed `pip install`, as the end of a sentence."""
    if "No space left" in output or "Errno 28" in output:
        return "the disk is full; free some space, then run this again."
    network = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyError")
    if any(word in output for word in network):
        return "the package index did not answer; check the network or the proxy, then run this again."
    if "No matching distribution" in output:
        return "the package index has no wheel for this machine and Python; try another Python from 3.11 to 3.13."
    return "see the last lines of pip's log."


def set_up(root: Path, wanted: str | None = None) -> Path:
    """Bring .venv to the pinned versions and give its interpreter; a few milliseconds when nothing changed.

    `wanted` is "cpu", "cuda" or None for whatever is installed (CPU at first).
    """
    stamp = read_stamp(root)
    build = wanted or stamp.get("build", "cpu")
    python = venv_python(root)
    if python.exists() and stamp.get("fingerprint") == fingerprint(root, build):
        return python
    if build == "cuda" and sys.platform == "darwin":
        raise SetupError("There is no CUDA on macOS: run this without --cuda.")
    # A first set-up needs the room; an update in place replaces files of the same size.
    free = shutil.disk_usage(str(root)).free / 1e9
    if not stamp and free < REQUIRED_GB[build]:
        raise SetupError(
            f"The set-up needs about {REQUIRED_GB[build]} GB and {root} has {free:.1f} GB free: "
            "free some space, then run this again."
        )
    if stamp:
        # An interrupted update must not pass for a complete one.
        (root / ".venv" / STAMP).unlink()
    make_venv(root)
    installer = Installer(root)
    installer.log.write_text("", encoding="utf-8")
    pins = ["--constraint", str(root / "packaging" / "constraints.txt")]
    installer.require("pip and setuptools", *pins, "pip", "setuptools")
    installer.torch(build)
    say("Bringing the other packages up to date" if stamp else "Installing the other packages (about 500 MB)")
    # setuptools is pinned in .venv already; an isolated build would fetch another one.
    installer.require("The packages", *pins, "--no-build-isolation", "--editable", f".[{EXTRAS}]")
    text = json.dumps({"fingerprint": fingerprint(root, build), "build": build})
    (root / ".venv" / STAMP).write_text(text, encoding="utf-8")
    say(f"Set up in {root / '.venv'}")
    return python


# --- Screen -----------------------------------------------------------------------------------------------------------


def missing_debian_packages(names: list[str]) -> list[str]:
    """Those of the named Debian packages that are not installed; none on a system without dpkg."""
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        return []
    # Since the change to 64-bit time some packages carry the suffix t64.
    asked = [spelling for name in names for spelling in (name, name + "t64")]
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *asked],
        capture_output=True,
        text=True,
    )
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if not {name, name + "t64"} & installed]


def debian_line(names: list[str]) -> str:
    """The one line a person runs to install Debian packages."""
    return "sudo apt-get install -y --no-install-recommends " + " ".join(names)


def privilege() -> list[str] | None:
    """What to put before apt-get: nothing for root, sudo where it asks no password, None where neither works."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def install_debian_packages(names: list[str]) -> bool:
    """Install missing Debian packages where that is allowed, else say how; whether nothing is missing afterwards."""
    missing = missing_debian_packages(names)
    if not missing:
        return bool(shutil.which("apt-get"))
    prefix = privilege()
    if prefix is None:
        say(f"{len(missing)} Debian packages are missing; install them with:  {debian_line(missing)}")
        return False
    say(f"Installing {len(missing)} Debian packages: {' '.join(missing)}")
    # env, because sudo drops the environment.
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    apt += ["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30"]
    install = [*apt, "install", "-y", "--no-install-recommends", *missing]
    for command in (install, [*apt, "update"], install):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if command is install and done.returncode == 0:
            return True
    say("apt-get failed: " + "; ".join(done.stdout.strip().splitlines()[-2:]))
    say(f"Install them with:  {debian_line(missing)}")
    return False


def has_screen() -> bool:
    """Whether a window can be shown to somebody."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class VirtualDisplays:
    """A few Xvfb servers on free display numbers, ended with the block.

    One for each test worker: on a shared one, focus and pointer of one worker's window disturb the other's.
    """

    def __init__(self, count: int, screen: str = "1920x1200x24") -> None:
        self.count = count
        self.screen = screen
        self.names: list[str] = []
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> VirtualDisplays:
        if not shutil.which("Xvfb"):
            line = (
                debian_line(VIRTUAL_DISPLAY)
                if shutil.which("apt-get")
                else "xorg-x11-server-Xvfb on Fedora, xorg-server-xvfb on Arch"
            )
            raise SetupError(f"The tests need the virtual display Xvfb: install it ({line}), then run this again.")
        try:
            for _ in range(self.count):
                self.names.append(self._start())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> str:
        """Start one server on a display number of its own choice and give its name, as in ':7'."""
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", self.screen, "-nolisten", "tcp", "-noreset"]
        # Its own session, so that Ctrl+C reaches the tests and not the display under them.
        server = subprocess.Popen(
            command, pass_fds=(writing,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._servers.append(server)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            ready = select.select([answer], [], [], 30)[0]
            number = answer.readline().strip().decode() if ready else ""
        if not number:
            raise SetupError("The virtual display did not start: run 'Xvfb :99' by hand to see why.")
        return f":{number}"

    def _stop(self) -> None:
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            try:
                server.wait(timeout=5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


# --- Commands ---------------------------------------------------------------------------------------------------------


def demo(arguments: list[str], wanted: str | None) -> int:
    """Open the sample case; without a screen the program writes the same into hemaview-demo/."""
    install_debian_packages(SCREEN_LIBRARIES)
    return call([str(set_up(ROOT, wanted)), "-m", "hemaview", "demo", *arguments])


def run(arguments: list[str], wanted: str | None) -> int:
    """Open the window with the given files."""
    install_debian_packages(SCREEN_LIBRARIES)
    return call([str(set_up(ROOT, wanted)), "-m", "hemaview", *arguments])


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
    return call([str(set_up(ROOT, wanted)), "-m", "hemaview.evaluation.benchmark", *arguments])


def setup(arguments: list[str], wanted: str | None) -> int:
    """Only set up."""
    if arguments:
        raise SetupError(f"setup takes no {arguments[0]}.")
    install_debian_packages(VIRTUAL_DISPLAY + SCREEN_LIBRARIES + SECOND_OPINIONS)
    set_up(ROOT, wanted)
    return 0


COMMANDS = {"demo": demo, "test": test, "run": run, "lint": lint, "bench": bench, "setup": setup}


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
