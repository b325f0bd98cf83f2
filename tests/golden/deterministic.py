"""Weights and inputs that anybody can make again, bit for bit, from names.

Every value is a function of a text: SHA-256 seeds numpy's Philox generator, whose raw stream is promised never
to change (NEP 19), and only correctly rounded operations follow.
"""

import hashlib

import numpy as np

_RANGES = {
    "beta": (-0.2, 0.2),
    "moving_mean": (-0.2, 0.2),
    "moving_variance": (0.5, 1.5),
    "gamma": (0.5, 1.5),
    "b": (-0.1, 0.1),  # the bias in DeepMind's files
    "biases": (-0.1, 0.1),  # and in TF-Slim's
}


def _uniform(key: str, count: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return (np.random.Philox(key=seed).random_raw(count) >> np.uint64(11)) / 2.0**53


def weight(name: str, shape: tuple[int, ...], salt: str) -> np.ndarray:
    """Return the float32 value of a variable, named as in its checkpoint (of DeepMind's without the stream's scope)."""
    count = int(np.prod(shape))
    limit = np.sqrt(6.0 / (count // shape[-1]))
    low, high = _RANGES.get(name.split("/")[-1], (-limit, limit))
    return (_uniform(f"{salt}|weights|{name}", count) * (high - low) + low).astype(np.float32).reshape(shape)


def clip(shape: tuple[int, ...], salt: str) -> np.ndarray:
    """Return a float32 clip (or image) in [-1, 1): blocks of 4x16x16 (16x16) of one colour, and noise."""
    key = f"{salt}|clip|{'x'.join(map(str, shape))}"
    steps = (1, 4, 16, 16, 1) if len(shape) == 5 else (1, 16, 16, 1)
    grid = [-(-n // step) for n, step in zip(shape, steps, strict=True)]
    coarse = _uniform(f"{key}|coarse", int(np.prod(grid))).reshape(grid)
    for axis, step in enumerate(steps):
        coarse = np.repeat(coarse, step, axis=axis)
    coarse = coarse[tuple(slice(0, n) for n in shape)]
    fine = _uniform(f"{key}|fine", int(np.prod(shape))).reshape(shape)
    return ((coarse * 0.75 + fine * 0.25) * 2.0 - 1.0).astype(np.float32)
