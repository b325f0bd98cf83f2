"""Runs without TensorFlow and without conftest.py, too: ``KERAS_BACKEND=torch pytest --noconftest`` this file."""

import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_i3d.checkpoints import formats, load
from keras_i3d.checkpoints.names import HASSONY, PIERGIAJ, weights_of
from keras_i3d.errors import CheckpointMismatch, MissingDependency
from keras_i3d.models.i3d import I3D

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

SMALL = {"weights": None, "input_shape": (9, 32, 32, 3), "classes": 5}
# (out of branch 0, in and out of branch 1, in and out of branch 2, out of branch 3): Szegedy et al. 2015, Table 1
BLOCKS = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
POOLS = {"4b": ((3, 3, 3), (2, 2, 2)), "5b": ((2, 2, 2), (2, 2, 2))}  # before these blocks
PORTS = {
    "piergiaj": {
        "stem": "Conv3d_{}",
        "unit": "Mixed_{}.{}",
        "branches": ("b0", "b1a", "b1b", "b2a", "b2b", "b3b"),
        "norm": "bn",
        "head": "logits",
        "layout": PIERGIAJ,
    },
    "hassony": {
        "stem": "conv3d_{}",
        "unit": "mixed_{}.{}",
        "branches": ("branch_0", "branch_1.0", "branch_1.1", "branch_2.0", "branch_2.1", "branch_3.1"),
        "norm": "batch3d",
        "head": "conv3d_0c_1x1",
        "layout": HASSONY,
    },
}


def state_dict(port: dict, classes: int = 5) -> dict:
    """Return live values under the names of a port, batch norm with a scale; some scales negative, one zero."""
    draw = torch.Generator().manual_seed(3)
    values = {}

    def uniform(shape: tuple[int, ...], low: float, high: float):
        return torch.rand(shape, generator=draw) * (high - low) + low

    def unit(name: str, channels: int, filters: int, size: int) -> None:
        shape, limit = (filters, channels, size, size, size), (6 / (channels * size**3)) ** 0.5
        values[f"{name}.conv3d.weight"] = uniform(shape, -limit, limit)
        scale = uniform((filters,), 0.5, 1.5)
        scale[0], scale[1] = -scale[0], 0
        for part, value in {
            "weight": scale,
            "bias": uniform((filters,), -0.2, 0.2),
            "running_mean": uniform((filters,), -0.2, 0.2),
            "running_var": uniform((filters,), 0.5, 1.5),
            "num_batches_tracked": torch.tensor(7),
        }.items():
            values[f"{name}.{port['norm']}.{part}"] = value

    for tag, channels, filters, size in (("1a_7x7", 3, 64, 7), ("2b_1x1", 64, 64, 1), ("2c_3x3", 64, 192, 3)):
        unit(port["stem"].format(tag), channels, filters, size)
    channels = 192
    for tag, (zero, one_in, one, two_in, two, three) in BLOCKS.items():
        sizes = (channels, zero, 1), (channels, one_in, 1), (one_in, one, 3), (channels, two_in, 1), (two_in, two, 3)
        for branch, size in zip(port["branches"], (*sizes, (channels, three, 1)), strict=True):
            unit(port["unit"].format(tag, branch), *size)
        channels = zero + one + two + three
    values[f"{port['head']}.conv3d.weight"] = uniform((classes, 1024, 1, 1, 1), -0.1, 0.1)
    values[f"{port['head']}.conv3d.bias"] = uniform((classes,), -0.1, 0.1)
    return values


def same_pad(x, window: tuple[int, ...], strides: tuple[int, ...], value: float):
    """Pad as TensorFlow's SAME does."""
    pads = []
    for size, extent, stride in zip(x.shape[2:], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return torch.nn.functional.pad(x, pads, value=value)


def torch_logits(port: dict, values: dict, clip: np.ndarray) -> np.ndarray:
    """Compute the network of a port with PyTorch alone, padded and normalised as the original."""
    functional = torch.nn.functional

    def unit(x, name: str, stride: int = 1):
        kernel = values[f"{name}.conv3d.weight"]
        x = same_pad(x, kernel.shape[2:], (stride,) * 3, 0.0)
        x = functional.conv3d(x, kernel, stride=stride)
        mean, variance, scale, bias = (
            values[f"{name}.{port['norm']}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.relu(functional.batch_norm(x, mean, variance, scale, bias, eps=1e-3))

    def pool(x, window: tuple[int, ...], strides: tuple[int, ...]):
        return functional.max_pool3d(same_pad(x, window, strides, -torch.inf), window, strides)

    x = unit(torch.from_numpy(clip).permute(0, 4, 1, 2, 3), port["stem"].format("1a_7x7"), stride=2)
    x = pool(x, (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, port["stem"].format("2b_1x1")), port["stem"].format("2c_3x3"))
    x = pool(x, (1, 3, 3), (1, 2, 2))
    for tag in BLOCKS:
        if tag in POOLS:
            x = pool(x, *POOLS[tag])
        zero, one_in, one, two_in, two, three = (port["unit"].format(tag, branch) for branch in port["branches"])
        branch_3 = unit(pool(x, (3, 3, 3), (1, 1, 1)), three)
        x = torch.cat([unit(x, zero), unit(unit(x, one_in), one), unit(unit(x, two_in), two), branch_3], 1)
    x = functional.avg_pool3d(x, tuple(min(pair) for pair in zip((2, 7, 7), x.shape[2:], strict=True)), stride=1)
    head = port["head"]
    x = functional.conv3d(x, values[f"{head}.conv3d.weight"], values[f"{head}.conv3d.bias"])
    return x.mean((2, 3, 4)).numpy()


def saved(path: Path, values: dict, **options) -> str:
    torch.save(values, path, **options)
    return str(path)


def keras_logits(model: keras.Model, clip: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(clip, training=False))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return I3D(**SMALL, classifier_activation=None)


@pytest.fixture
def zeroed(model) -> keras.Model:
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    return model


def assert_nothing_was_loaded(model) -> None:
    assert not any(np.any(keras.ops.convert_to_numpy(variable.value)) for variable in model.weights)


@pytest.mark.parametrize("port", PORTS)
def test_the_logits_are_those_that_pytorch_computes(zeroed, tmp_path: Path, port: str) -> None:
    values = state_dict(PORTS[port])
    path = saved(tmp_path / "model.pt", values)
    assert formats.is_there(path)
    with formats.open_weights(path) as file:
        assert file.layout is PORTS[port]["layout"]
        assert len(file.variables) == 230
    load.load_checkpoint(zeroed, path)
    clip = np.random.default_rng(1).uniform(-1, 1, (2, 9, 32, 32, 3)).astype(np.float32)
    expected = torch_logits(PORTS[port], values, clip)
    # the same sums in another order; scales left out or epsilon 1e-5 are thousands of times this off
    assert np.abs(keras_logits(zeroed, clip) - expected).max() <= 1e-4 * expected.std()


def test_wrappers_prefixes_halves_and_the_old_format_are_taken(zeroed, tmp_path: Path) -> None:
    values = state_dict(PORTS["piergiaj"])
    with formats.open_weights(saved(tmp_path / "plain.pt", values)) as file:
        expected = file.values(file.variables)
    half = {name: value.half() if value.is_floating_point() else value for name, value in values.items()}
    paths = {
        saved(tmp_path / "a.pth", {f"module.{name}": value for name, value in values.items()}): 0,
        saved(tmp_path / "b.pth.tar", {"epoch": 3, "state_dict": values}): 0,
        saved(tmp_path / "c.ckpt", {"model": {f"net.i3d.{name}": value for name, value in values.items()}}): 0,
        saved(tmp_path / "d.pt", values, _use_new_zipfile_serialization=False): 0,
        saved(tmp_path / "e.pt", half): 2e-3,
    }
    for path, tolerance in paths.items():
        assert load.classes_in(path) == 5
        with formats.open_weights(path) as file:
            found = file.values(file.variables)
        assert found.keys() == expected.keys(), path
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name], rtol=tolerance, atol=tolerance, err_msg=path)


def test_another_number_of_classes_leaves_the_last_layer_new(zeroed, tmp_path: Path, caplog) -> None:
    path = saved(tmp_path / "model.pt", state_dict(PORTS["hassony"], classes=6))
    with caplog.at_level(logging.WARNING, "keras_i3d"):
        load.load_checkpoint(zeroed, path)
    assert "has 6 classes, the model 5: its last layer is new" in caplog.text
    untouched = [weight for weight in weights_of(zeroed) if weight.layers[-1].startswith("Logits__")]
    assert len(untouched) == 2
    for weight in weights_of(zeroed):
        live = np.any(keras.ops.convert_to_numpy(weight.variable.value))
        assert live == (weight not in untouched), weight.path


def broken(change: Callable[[dict], object]) -> dict:
    values = state_dict(PORTS["piergiaj"])
    change(values)
    return values


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda v: v.pop("Mixed_3b.b1b.bn.running_var"), r"1 missing in the file \(Mixed_3b\.b1b\.bn\.running_var\)"),
        (lambda v: v.update(extra=torch.ones(2)), r"1 unknown to the model \(extra\)"),
        (
            lambda v: v.update({"Mixed_3b.b0.bn.weight": torch.ones(3)}),
            r"1 unknown to the model \(Mixed_3b\.b0\.bn\.weight\)",
        ),
        (
            lambda v: v.update({"Mixed_3b.b0.conv3d.weight": torch.ones(65, 192, 1, 1, 1)}),
            r"1 of another shape \(Mixed_3b\.b0\.conv3d\.weight is \[1, 1, 1, 192, 65\] in the file",
        ),
        (lambda v: v["Mixed_5c.b0.bn.bias"].fill_(torch.nan), r"Mixed_5c\.b0\.bn\.bias: not finite"),
        (lambda v: v["Mixed_5c.b0.bn.weight"].fill_(torch.inf), r"Mixed_5c\.b0\..*: not finite"),
        (
            lambda v: v.pop("Conv3d_1a_7x7.conv3d.weight"),
            r"a PyTorch state dict with no network of a known port; one is wanted, with a variable "
            r"Conv3d_1a_7x7\.conv3d\.weight or conv3d_1a_7x7\.conv3d\.weight; its names begin with Conv3d_1a_7x7\.bn",
        ),
        (
            lambda v: v.update({f"flow.{name}": value for name, value in list(v.items())}),
            r"a PyTorch state dict with 2 networks of a known port",
        ),
    ],
)
def test_a_state_dict_that_is_not_exactly_ours_is_refused_whole(zeroed, tmp_path: Path, change, complaint) -> None:
    path = saved(tmp_path / "model.pt", broken(change))
    with pytest.raises(CheckpointMismatch, match=complaint), np.errstate(invalid="ignore"):
        load.load_checkpoint(zeroed, path)
    assert_nothing_was_loaded(zeroed)


class Surprise:
    """What must never be built by reading a file of weights."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("surprise"),)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            {"epoch": 1, "weights": [1, 2]},
            r"not a state dict \(names with tensors\), bare or under state_dict, .*; "
            r"it holds a dict of epoch, weights$",
        ),
        (torch.ones(3), r"it holds a Tensor$"),
        ({}, r"a PyTorch state dict with no network .*begin with nothing$"),
        ({"x": Surprise()}, r"cannot be read as a PyTorch state dict \(.*a file of tensors alone is wanted, as torch"),
    ],
)
def test_other_contents_are_refused_and_nothing_of_them_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "model.pt", content)
    with pytest.raises(CheckpointMismatch, match=complaint), formats.open_weights(path):
        pass
    assert not Path("surprise").exists()
    pickle.loads(pickle.dumps(Surprise()))
    assert Path("surprise").exists()  # it would have been seen


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
@pytest.mark.parametrize("new", [True, False])
def test_a_file_cut_short_is_refused_whole(zeroed, tmp_path: Path, share: float, new: bool) -> None:
    path = saved(tmp_path / "model.pt", state_dict(PORTS["piergiaj"]), _use_new_zipfile_serialization=new)
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointMismatch, match=r"damaged|cannot be read as a PyTorch state dict"):
        load.load_checkpoint(zeroed, path)
    assert_nothing_was_loaded(zeroed)


def test_without_pytorch_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "model.pt", {"Conv3d_1a_7x7.conv3d.weight": torch.ones(1)})
    monkeypatch.setitem(sys.modules, "torch", None)
    with (
        pytest.raises(MissingDependency, match=r"reading PyTorch files needs the package torch.*keras-i3d\[torch\]"),
        formats.open_weights(path),
    ):
        pass
