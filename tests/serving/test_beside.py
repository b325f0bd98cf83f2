import re

import numpy as np
from finished_models import paper_model, tiny_model
from google.protobuf import text_format

from keras_i3d import proto
from keras_i3d.serving import beside
from keras_i3d.serving.options import ServingOptions
from keras_i3d.serving.signatures import Signatures

SERVER = proto.declare(
    {
        "tensorflow.serving": """
            message Latest { int32 num_versions = 1; }
            message Policy { Latest latest = 100; }
            message ModelConfig { string name = 1; string base_path = 2; string model_platform = 4; Policy
              model_version_policy = 7; }
            message ModelConfigList { repeated ModelConfig config = 1; }
            message ModelServerConfig { ModelConfigList model_config_list = 1; }
            message Number { int64 value = 1; }
            message BatchingParameters { Number max_batch_size = 1; Number batch_timeout_micros = 2;
              Number max_enqueued_batches = 3; Number num_batch_threads = 4; }
        """
    }
)


def test_the_servers_configurations_are_of_its_messages() -> None:
    models = text_format.Parse(beside.models_config("actions"), SERVER["tensorflow.serving.ModelServerConfig"]())
    (model,) = models.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("actions", "/models/actions", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1
    for options, batch in ((ServingOptions(), 8), (ServingOptions(shape=(4, None, None, None)), 4)):
        text = beside.batching_config(Signatures(tiny_model(), options))
        batching = text_format.Parse(text, SERVER["tensorflow.serving.BatchingParameters"]())
        assert batching.max_batch_size.value == batch
        assert batching.max_enqueued_batches.value and batching.num_batch_threads.value


def test_what_an_operator_changed_stays_and_the_readme_tells_the_newest(tmp_path) -> None:
    beside.write(tmp_path, Signatures(tiny_model()), "actions")
    (tmp_path / "models.config").write_text("# mine\n")
    (tmp_path / "batching.config").unlink()
    beside.write(tmp_path, Signatures(tiny_model(), ServingOptions(precision="bfloat16")), "actions")
    assert (tmp_path / "models.config").read_text() == "# mine\n"
    assert (tmp_path / "batching.config").is_file()
    assert "computing in bfloat16, batch norm folded" in (tmp_path / "README.md").read_text()


def test_the_readme_has_every_signature_with_a_request_that_fits_it() -> None:
    signatures = Signatures(paper_model("two_stream"))
    text = beside.readme(signatures, "actions")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(signatures.names)
    asked = {}

    class Server:
        def predict(self, inputs: dict, signature: str) -> None:
            asked[signature] = inputs

    for example in re.findall(r"```python\n(server\.predict.*?)```", text, re.DOTALL):
        exec(example.replace('open("frame.jpg", "rb").read()', "b''"), {"np": np, "server": Server()})
    assert set(asked) == set(signatures.names) - {"description"}
    for signature, inputs in asked.items():
        for spec in signatures.specs(signature):
            assert spec.shape.is_compatible_with(inputs[spec.name].shape)
            assert inputs[spec.name].dtype == (object if spec.dtype.name == "string" else spec.dtype.name)
    assert 'curl -d \'{"signature_name": "description", "inputs": {"query": ["?"]}}\'' in text
    assert "| takes | `flow` | float32 | [batch, time, height, width, 2] pixels per frame |" in text
    assert "| takes | `flow` | float32 | [batch, time, 32, 32, 2] |" in text
    assert "| gives | `features` | float32 | [batch, steps, 2048] |" in text
