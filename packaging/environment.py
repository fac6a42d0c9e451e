"""The virtual environment: which Python it is made with, and the pinned packages in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from console import SetupError, child_environment, say, show_progress
from screen import install_debian_packages

OLDEST, NEWEST = (3, 11), (3, 13)
STAMP = "hemaview-setup.json"
SETUP_REVISION = 1
EXTRAS = "train,dev"

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH_CUDA_INDEX = "https://download.pytorch.org/whl/cu130"
REQUIRED_GB = {"cpu": 4, "cuda": 10}


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
