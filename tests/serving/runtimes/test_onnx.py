import numpy as np
import pytest
from finished_models import CLASSES, small_model

from keras_i3d.serving.runtimes import export_runtime

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def axes(value) -> list[int | str]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def test_the_file_is_sound_and_names_its_axes(tmp_path) -> None:
    model = onnx.load(export_runtime(small_model("both"), tmp_path / "model").file)
    onnx.checker.check_model(model, full_check=True)
    assert {value.name: axes(value) for value in model.graph.input} == {
        "rgb": ["batch", "rgb_time", 16, 16, 3],
        "flow": ["batch", "flow_time", 16, 16, 2],
    }
    assert {value.name: axes(value) for value in model.graph.output} == {
        "logits": ["batch", len(CLASSES)],
        "probabilities": ["batch", len(CLASSES)],
    }
    assert [(one.domain, one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")] == [("", 17)]


def test_fixed_axes_are_refused_other_clips(tmp_path) -> None:
    done = export_runtime(small_model(), tmp_path / "model", frames=8, batch=1)
    session = onnxruntime.InferenceSession(str(done.file), providers=["CPUExecutionProvider"])
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="Got: 9 Expected: 8"):
        session.run(None, {"rgb": np.zeros((1, 9, 16, 16, 3), np.float32)})
