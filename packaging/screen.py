"""What a window needs besides Python: Debian's libraries, and displays for tests that nobody watches."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import types

from console import SetupError, say

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
