import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from keras_i3d.errors import MissingDependency
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video


def gradients(count: int = 6, height: int = 32, width: int = 48) -> np.ndarray:
    """Return soft colour gradients that change from frame to frame."""
    time, row, column = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([row * 4 + 20, column * 3 + 20, time * 20 + 20], axis=-1).astype(np.uint8)


def test_frames_survive_the_way_to_the_file_and_back(tmp_path: Path) -> None:
    frames = gradients()
    write_video(tmp_path / "video.mp4", frames, fps=25, crf=0)
    decoded = read_frames(tmp_path / "video.mp4", short_side=None)
    # lossless but for limited-range YUV and halved chroma: a few levels
    np.testing.assert_allclose(decoded.astype(int), frames, atol=8)
    assert np.abs(decoded.astype(int) - frames).mean() < 2


@pytest.mark.parametrize("count", [1, 2, 37])
def test_every_frame_is_written(tmp_path: Path, count: int) -> None:
    write_video(tmp_path / "video.mp4", np.zeros((count, 16, 16, 3), np.uint8), fps=25)
    assert len(read_frames(tmp_path / "video.mp4", fps=None)) == count


@pytest.mark.parametrize(
    ("fps", "rate"), [(25, 25), (12.5, Fraction(25, 2)), (30000 / 1001, Fraction(30000, 1001)), (1, 1)]
)
def test_the_file_knows_its_rate(tmp_path: Path, fps: float, rate: Fraction) -> None:
    write_video(tmp_path / "video.mp4", gradients(), fps=fps)
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert container.streams.video[0].average_rate == rate
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_equal_frames_give_an_equal_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 50, 50, 3), np.uint8)
    contents = set()
    for repetition in range(40):
        write_video(tmp_path / "video.mp4", noise, fps=25)
        contents.add((tmp_path / "video.mp4").read_bytes())
        read_frames(tmp_path / "video.mp4", short_side=20 + repetition)  # stirs the memory that encoders find
    assert len(contents) == 1


def test_a_higher_factor_gives_a_smaller_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
    sizes = []
    for crf in (0, 18, 40):
        write_video(tmp_path / "video.mp4", noise, fps=25, crf=crf)
        sizes.append((tmp_path / "video.mp4").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < sizes[1] / 2


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((2, 16, 16, 3), np.float32), r"frames must be uint8 \(time, height, width, 3\), got float32 "),
        (np.zeros((16, 16, 3), np.uint8), r"frames must be uint8 .*, got uint8 \(16, 16, 3\)"),
        (np.zeros((2, 16, 16, 1), np.uint8), r"frames must be uint8 .*, got uint8 \(2, 16, 16, 1\)"),
        (np.zeros((0, 16, 16, 3), np.uint8), r"frames must be uint8 .*, got uint8 \(0, 16, 16, 3\)"),
        (np.zeros((2, 15, 16, 3), np.uint8), r"H\.264 needs an even height and width, got 15x16"),
        (np.zeros((2, 16, 15, 3), np.uint8), r"H\.264 needs an even height and width, got 16x15"),
    ],
)
def test_wrong_frames_are_refused_and_leave_no_file(tmp_path: Path, frames: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "video.mp4", frames, fps=25)
    assert list(tmp_path.iterdir()) == []


def test_without_pyav_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependency, match=r"decoding and encoding video needs the package av, .*pip install"):
        write_video(tmp_path / "video.mp4", gradients(), fps=25)
