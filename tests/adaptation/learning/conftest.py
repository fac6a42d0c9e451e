"""The toy of ``toy_run.py`` for tests in this process."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

TOY = Path(__file__).with_name("toy_run.py")


@pytest.fixture(scope="session")
def toy():
    spec = importlib.util.spec_from_file_location("toy_run", TOY)
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_run"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
