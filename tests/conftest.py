"""What several tests share: TensorFlow's determinism, and one tiny journey from videos to a trained run."""

import dataclasses
import gc
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"  # beside a developer's checkout; tests that want it skip without
# of weights that keep the signal alive through a whole network, which freshly drawn ones do not
RANGES = {"beta": (-0.2, 0.2), "bias": (-0.1, 0.1), "mean": (-0.2, 0.2), "variance": (0.5, 1.5), "gamma": (0.5, 1.0)}


@pytest.fixture(scope="session", autouse=True)
def exact() -> None:
    """Let TensorFlow repeat itself, which must be said before it computes anything."""
    from keras_i3d import quiet

    quiet.import_tensorflow()
    import keras

    from keras_i3d.training import determinism

    determinism.repeat_exactly()
    keras.utils.set_random_seed(0)  # under determinism TensorFlow draws nothing without a seed


@pytest.fixture(scope="module", autouse=True)
def freed() -> Iterator[None]:
    """Let go of a module's networks behind it: the graphs that they were traced into point at themselves."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def shared_videos() -> Path:
    """Return the folder of real clips, or skip where it is absent."""
    if not (SHARED / "videos").is_dir():
        pytest.skip("the real clips are not here")
    return SHARED / "videos"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user may read, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def as_nobody() -> Callable[[], AbstractContextManager[None]]:
    """Return a context manager that gives up root's right to read and write everything, where we have it."""

    @contextmanager
    def without_root() -> Iterator[None]:
        if os.geteuid():
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return without_root


@pytest.fixture(scope="session")
def motion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder SPLIT/CLASS/*.mp4: eight classes, 2 train, 1 val and 1 test video each, 12 frames, 48x48."""
    from keras_i3d.datasets import motion

    folder = tmp_path_factory.mktemp("motion")
    videos = motion.MotionVideos({"train": 2, "val": 1, "test": 1}, frames=12, size=48)
    assert len(list(motion.write_videos(folder, videos))) == 32
    return folder


@pytest.fixture(scope="session")
def records(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return records of `motion_folder`, RGB and TV-L1 flow, short side 37 (crops of 32)."""
    from keras_i3d.datasets.folder import read_folder
    from keras_i3d.records.making import make_tfrecords
    from keras_i3d.records.settings import RecordSettings

    folder = tmp_path_factory.mktemp("records") / "records"
    settings = RecordSettings(short_side=37, flow="tvl1", clips_per_shard=8)
    make_tfrecords(read_folder(motion_folder), folder, settings, workers=0)
    return folder


@pytest.fixture(scope="session")
def tiny_recipe():
    """Return a recipe of seconds: two epochs of four steps, clips of 9x32x32."""
    from keras_i3d.training.recipe import Recipe

    return Recipe(frames=9, size=32, epochs=2, batch_size=4, flips=False)


@pytest.fixture(scope="session")
def run_folder(records: Path, tiny_recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of an RGB network trained by `tiny_recipe`."""
    from keras_i3d.commands.train import train

    folder = tmp_path_factory.mktemp("run") / "run"
    train(records, folder, tiny_recipe)
    return folder


@pytest.fixture(scope="session")
def flow_run_folder(records: Path, tiny_recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a flow network of one epoch."""
    from keras_i3d.commands.train import train

    folder = tmp_path_factory.mktemp("flow_run") / "run"
    train(records, folder, dataclasses.replace(tiny_recipe, modality="flow", epochs=1))
    return folder


@pytest.fixture(scope="session")
def golden():
    """Return the module that makes weights and inputs from names, for the numbers in tests/golden."""
    spec = importlib.util.spec_from_file_location("deterministic", GOLDEN / "deterministic.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_checkpoint(golden):
    """Return a function that writes a checkpoint of a network in the published layout, and returns its prefix."""

    def write(prefix: Path, model, salt: str, *, scope: str, sonnet: bool = False, change=lambda values: None) -> Path:
        import tensorflow as tf

        from keras_i3d.checkpoints.names import deepmind_name

        values = {}
        for variable in model.weights:
            if variable.path.endswith("seed_generator_state"):
                continue
            name = deepmind_name(variable)
            value = golden.weight(name, tuple(variable.shape), salt)
            is_norm = "/batch_norm/" in name
            values[scope + name] = value.reshape(1, 1, 1, 1, -1) if sonnet and is_norm else value
            if sonnet and name.endswith(("/w", "/b", "/beta")):
                values[f"{scope}{name}/Momentum"] = values[scope + name] * 0
        change(values)
        prefix.parent.mkdir(parents=True, exist_ok=True)
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(values),
            shape_and_slices=[""] * len(values),
            tensors=list(values.values()),
        )
        return prefix

    return write


@pytest.fixture(scope="session")
def models(records, tmp_path_factory) -> dict[str, str]:
    """Return an RGB and a flow model that answer in no time, by modality."""
    from small_models import save_small_model

    folder = tmp_path_factory.mktemp("models")
    return {name: save_small_model(folder / name, records, modality=name) for name in ("rgb", "flow")}


@pytest.fixture(scope="session")
def enliven() -> Callable[[Any], Any]:
    """Return a function that draws all weights of a network (or layer) anew, repeatably, and returns it."""

    def draw(model: Any, seed: int = 0) -> Any:
        generator = np.random.default_rng(seed)
        for variable in model.weights:
            kind = variable.path.split("/")[-1].split("_")[-1]
            limit = np.sqrt(6 / max(1, np.prod(variable.shape[:-1])))
            low, high = RANGES.get(kind, (-limit, limit))
            variable.assign(generator.uniform(low, high, variable.shape).astype(np.float32))
        return model

    return draw


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """Return a function that draws float32 values in [-1, 1) of a shape."""

    def draw(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)

    return draw
