"""Show that the layer of TV-L1 flow gives the same on every Keras backend, in two halves::

    python tests/backends/same_flow.py write FOLDER                      # with TensorFlow
    KERAS_BACKEND=jax python tests/backends/same_flow.py check FOLDER    # or torch; TensorFlow need not be installed

The first writes a video and its flow, the second computes and compares. Standard output has a line for each way of
calling the layer; the exit code is 1 where one differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from keras_i3d.layers import TVL1Flow

TOLERANCE = 1e-3  # pixels on average: the same float32 sums in another order, over hundreds of iterations
SHAPE = (3, 24, 21, 3)  # pictures of two scales


def video() -> np.ndarray:
    """Return uint8 `SHAPE`: smooth waves that move by about a pixel per frame, differently in each channel."""
    time, y, x, channel = np.indices(SHAPE)
    waves = np.sin(0.5 * (x - 0.8 * time) + channel) + np.cos(0.4 * (y + 0.5 * time) - 0.1 * x)
    return np.round((waves + 2) * 255 / 4).astype(np.uint8)


def write(folder: Path) -> Iterator[str]:
    """Write the video and its flow; yield a line about it."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = video()[np.newaxis]
    flow = keras.ops.convert_to_numpy(TVL1Flow()(frames))
    np.savez(folder / "flow.npz", frames=frames, flow=flow)
    yield f"flow {list(flow.shape)}, mean {np.abs(flow).mean():.4g} pixels"
    if not np.abs(flow).mean() > 0.3:
        raise AssertionError("no motion says nothing about a backend")


def check(folder: Path) -> Iterator[str]:
    """Compute the flow of what `write` wrote on this backend and compare; yield a line about each way."""
    with np.load(folder / "flow.npz") as stored:
        frames, expected = stored["frames"], stored["flow"]
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, TVL1Flow((-1, 1))(inputs))
    ways = {
        "called": lambda: TVL1Flow()(frames),
        "two pairs at once": lambda: TVL1Flow(pairs_at_once=2)(frames),
        "in a model, of floats": lambda: model.predict((frames / 127.5 - 1).astype(np.float32), verbose=0),
    }
    if keras.backend.backend() == "jax":
        import jax

        ways["by jax.jit"] = lambda: jax.jit(TVL1Flow())(frames)
    for name, way in ways.items():
        error = np.abs(keras.ops.convert_to_numpy(way()) - expected).mean()
        yield f"{name}: differs by {error:.1e} pixels on average"
        if not error <= TOLERANCE:
            raise AssertionError(f"{name}: differs by {error} pixels on average, allowed is {TOLERANCE}")


def main(arguments: list[str] | None = None) -> int:
    """Run one half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=("write", "check"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    backend = keras.backend.backend()
    sys.stdout.write(f"{options.half} on {backend}\n")
    for line in (write if options.half == "write" else check)(options.folder):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if options.half == "check" and backend != "tensorflow" and "tensorflow" in sys.modules:
        raise AssertionError("TensorFlow was imported")
    return 0


if __name__ == "__main__":
    sys.exit(main())
