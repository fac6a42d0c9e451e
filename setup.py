"""Put models, assets and the user guide, which lie at the top of the checkout, inside the package of a wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithResources(build_py):
    """Copy models/, assets/ and docs/ to hemaview/_resources, where hemaview.resources looks first."""

    def run(self) -> None:
        """Build the modules, then the resources; an editable install reads them from the checkout."""
        super().run()
        if self.editable_mode:
            return
        for kind in ("models", "assets", "docs"):
            target = Path(self.build_lib) / "hemaview" / "_resources" / kind
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / kind, target, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithResources})
