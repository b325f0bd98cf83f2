import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from finished_models import small_model

from keras_i3d.serving.runtimes import export_runtime, openvino
from keras_i3d.serving.runtimes.network import clip_network, example_clips

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the extra openvino is not installed"
)


def test_ports_have_our_names_alone(tmp_path) -> None:
    done = export_runtime(small_model("both"), tmp_path / "model", runtime="openvino")
    assert (done.folder / "model.bin").is_file()
    model = openvino.import_quietly().Core().read_model(done.file)
    assert {frozenset(port.get_names()) for port in model.inputs} == {frozenset({"rgb"}), frozenset({"flow"})}
    assert [port.get_names() for port in model.outputs] == [{"logits"}, {"probabilities"}]
    assert {port.get_element_type().to_string() for port in (*model.inputs, *model.outputs)} == {"f32"}


def test_it_can_compute_in_bfloat16(tmp_path) -> None:
    device = openvino.import_quietly().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" not in device:
        pytest.skip("this CPU has no bfloat16")
    finished = small_model()
    file = export_runtime(finished, tmp_path / "model", runtime="openvino").file
    network = clip_network(finished)
    (clips, _) = example_clips(finished, network)
    expected = network.answer(clips)["logits"]
    answers = openvino.load(file, precision="bfloat16")(clips)["logits"]
    difference = np.abs(answers - expected).max() / expected.std()
    assert 1e-4 < difference < 0.1  # eight bits of mantissa


def test_it_is_imported_without_its_telemetry() -> None:
    script = (
        "import sys\n"
        "from keras_i3d.serving.runtimes import openvino\n"
        "assert openvino.import_quietly() is sys.modules['openvino']\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "assert telemetry_utils.tm.__name__ == 'openvino.tools.ovc.telemetry_stub', telemetry_utils.tm\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
