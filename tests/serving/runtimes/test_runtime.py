import numpy as np
import pytest
from finished_models import SMALLEST, paper_model, small_model

from keras_i3d.errors import MissingDependency
from keras_i3d.serving.runtimes import RUNTIMES, export_runtime
from keras_i3d.serving.runtimes.network import OUTPUTS, clip_network, example_clips


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Return the name of a runtime whose packages are installed."""
    try:
        RUNTIMES[request.param].need()
    except MissingDependency as error:
        pytest.skip(str(error))
    return request.param


@pytest.mark.parametrize("modality", ["rgb", "flow", "both"])
def test_a_runtime_answers_as_keras_does(tmp_path, runtime: str, modality: str) -> None:
    finished = small_model(modality)
    done = export_runtime(finished, tmp_path / "model", runtime=runtime, frames=8, batch=2)
    assert done.difference < 1e-5
    network = clip_network(finished, frames=8, batch=2)
    assert done.shapes == network.shapes
    (clips,) = example_clips(finished, network)
    expected = network.answer(clips)
    for threads in (None, 1):
        answers = RUNTIMES[runtime].load(done.file, threads)(clips)
        assert tuple(answers) == OUTPUTS
        for name in OUTPUTS:
            assert answers[name].dtype == np.float32
            np.testing.assert_allclose(answers[name], expected[name], atol=1e-5)


def test_any_number_of_clips_of_any_length_is_taken(tmp_path, runtime: str) -> None:
    if RUNTIMES[runtime].has_fixed_shapes:
        pytest.skip(f"{RUNTIMES[runtime].title} takes one shape")
    finished = small_model()
    answer = RUNTIMES[runtime].load(export_runtime(finished, tmp_path / "model", runtime=runtime).file, None)
    for shape in [(1, 5, 16, 16, 3), (3, 17, 16, 16, 3)]:
        clips = {"rgb": np.random.default_rng(1).uniform(-1, 1, shape).astype("float32")}
        expected = clip_network(finished).answer(clips)
        np.testing.assert_allclose(answer(clips)["logits"], expected["logits"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name == "i3d" else pytest.param(name, marks=pytest.mark.by_hand) for name in SMALLEST]
)
def test_every_network_of_the_paper_is_taken(tmp_path, runtime: str, name: str) -> None:
    finished = paper_model(name)
    assert export_runtime(finished, tmp_path / "model", runtime=runtime).difference < 1e-5


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.parametrize("time_plan", ["i2d", "s3d_g"])
def test_other_time_plans_are_taken(tmp_path, runtime: str, time_plan: str) -> None:
    finished = paper_model(modality="flow", time_plan=time_plan)
    assert export_runtime(finished, tmp_path / "model", runtime=runtime).difference < 1e-5
