import pytest
import tensorflow as tf
from finished_models import small_model

from keras_i3d.serving.runtimes import export_runtime


@pytest.mark.filterwarnings("ignore::UserWarning")  # TensorFlow announces the end of its interpreter
def test_the_file_has_one_signature_and_needs_nothing_of_tensorflow(tmp_path) -> None:
    done = export_runtime(small_model("both"), tmp_path / "model", runtime="litert", frames=8)
    interpreter = tf.lite.Interpreter(str(done.file))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["flow", "rgb"], "outputs": ["logits", "probabilities"]}
    }
    shapes = {part["name"]: part["shape"].tolist() for part in interpreter.get_input_details()}
    assert sorted(shapes.values()) == [[1, 8, 16, 16, 2], [1, 8, 16, 16, 3]]
    operations = {part["op_name"] for part in interpreter._get_ops_details()}
    assert {"CONV_3D", "MAX_POOL_2D", "AVERAGE_POOL_2D"} <= operations
    assert not [name for name in operations if name.startswith("Flex") or name == "CUSTOM"], operations
