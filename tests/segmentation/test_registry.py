"""The registry lists engines, checks every file, and says in one sentence what is wrong."""

import subprocess
import sys

import pytest

from hemaview.errors import ModelError
from hemaview.segmentation.registry import available_engines, load_engine, model_records


def test_engine_carries_what_the_registry_says(untrained_registry):
    engine = load_engine("compact", registry=untrained_registry)
    record = model_records(untrained_registry)[0]
    assert (engine.info.name, engine.info.title) == ("compact", "Test compact")
    assert engine.info.sha256 == record.fingerprint
    assert engine.info.trained_on == "nothing"
    assert engine.info.device.startswith("CPU")


def test_unknown_engine_is_refused_with_the_known_ones(untrained_registry):
    assert available_engines(untrained_registry) == ("compact",)
    with pytest.raises(ModelError, match=r'"magic"; choose one of: compact\.'):
        load_engine("magic", registry=untrained_registry)


def test_altered_weights_are_refused(own_registry):
    weights = own_registry.parent / "compact" / "fine.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"compact/fine\.safetensors has changed .* reinstall HEMAVIEW or restore it"):
        load_engine(registry=own_registry)


def test_missing_weights_are_named(own_registry):
    (own_registry.parent / "compact" / "coarse.safetensors").unlink()
    with pytest.raises(ModelError, match=r"compact/coarse\.safetensors is missing"):
        load_engine(registry=own_registry)


def test_weights_of_another_network_are_refused(own_registry):
    text = own_registry.read_text().replace('role = "fine"', 'role = "x"').replace('role = "coarse"', 'role = "fine"')
    own_registry.write_text(text.replace('role = "x"', 'role = "coarse"'))
    with pytest.raises(ModelError, match="does not fit this version of HEMAVIEW"):
        load_engine(registry=own_registry)


@pytest.mark.parametrize("content", ["not toml [", '[[model]]\nname = "compact"\n', "model = 3\n"])
def test_damaged_registry_is_refused(tmp_path, content):
    path = tmp_path / "registry.toml"
    path.write_text(content)
    with pytest.raises(ModelError, match="damaged"):
        available_engines(path)


def test_missing_registry_is_refused(tmp_path):
    with pytest.raises(ModelError, match="missing"):
        load_engine(registry=tmp_path / "registry.toml")


def test_engine_outside_the_program_is_refused(own_registry):
    own_registry.write_text(
        own_registry.read_text().replace("hemaview.segmentation.compact.engine:CompactSegmenter", "os:system")
    )
    with pytest.raises(ModelError, match="outside HEMAVIEW"):
        load_engine(registry=own_registry)


def test_every_error_is_one_sentence(own_registry):
    (own_registry.parent / "compact" / "fine.safetensors").write_bytes(b"")
    with pytest.raises(ModelError) as caught:
        load_engine(registry=own_registry)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_listing_engines_does_not_load_torch():
    script = "import sys, hemaview.segmentation.registry as r, hemaview.segmentation; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
