from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the file of an RGB network of a few layers that takes 32x32; its features have 16 channels."""
    from small_models import save_small_model

    folder = tmp_path_factory.mktemp("small")
    (folder / "labels.txt").write_text("run\njump\n")
    return save_small_model(folder / "rgb", folder)


@pytest.fixture(scope="session")
def finished(small: str):
    """Return that network as a finished model."""
    from keras_i3d import finished_model

    return finished_model.load(small)


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """Return a function that writes a video of a moving texture, and returns its path."""
    from moving_textures import moving_texture

    from keras_i3d.video import encode

    def write(path: Path, frames: int, *, height: int = 37, width: int = 48, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode.encode_video(iter(moving_texture(frames, height, width, seed=seed)), fps=25.0, crf=18))
        return path

    return write


@pytest.fixture
def frames() -> np.ndarray:
    """Return 37 frames of 37x48, of which a network of 32x32 sees the middle as they are."""
    from moving_textures import moving_texture

    return moving_texture(37, 37, 48)
