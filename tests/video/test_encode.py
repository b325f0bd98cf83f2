import hashlib
import io
import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import indices, numbered

from keras_i3d.errors import MissingDependency, VideoError
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import encode_video, write_video


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


def soft(count: int, height: int, width: int) -> np.ndarray:
    """Return slow gradients over the whole range of every channel."""
    time, row, column = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    levels = [row * 255 / max(height - 1, 1), column * 255 / max(width - 1, 1), (time * 3 + 20) % 256]
    return np.stack(levels, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("fps", [25, 12.5, 30000 / 1001, 1, 0.001, 1000, 3.14159265])
@pytest.mark.parametrize("count", [1, 2, 3, 33, 70])
def test_as_many_frames_are_read_as_were_encoded(count: int, fps: float) -> None:
    encoded = encode_video(numbered(count), fps=fps, crf=10)
    for rate in (fps, None):
        assert indices(read_frames(encoded, fps=rate, short_side=None)) == list(range(count))


@pytest.mark.parametrize(("height", "width"), [(256, 342), (256, 341), (255, 340), (255, 341), (1, 1), (2, 1), (7, 64)])
def test_the_size_and_the_colours_come_back(height: int, width: int) -> None:
    frames = soft(3, height, width)
    decoded = read_frames(encode_video(frames, fps=25, crf=0), fps=25, short_side=None)
    assert decoded.shape == frames.shape
    difference = np.abs(decoded.astype(int) - frames)
    is_halved = height % 2 == width % 2 == 0
    # limited range rounds by a level or two; half the chroma takes more from the steepest gradients
    assert difference.max() <= (8 if is_halved else 2)
    assert difference.mean() < 1


def test_no_channel_drifts() -> None:
    frames = soft(5, 128, 128)
    decoded = read_frames(encode_video(frames, fps=25, crf=0), fps=25, short_side=None)
    drift = (decoded.astype(float) - frames).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(drift, 0, atol=0.7)  # rounding to levels of 255/219


def test_the_bytes_say_their_colours_and_have_key_frames() -> None:
    encoded = encode_video(soft(100, 64, 64), fps=25)
    with av.open(io.BytesIO(encoded)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        described = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert described == (6, 6, 6, 1)  # BT.601 of 525 lines, limited range
        assert context.pix_fmt == "yuv420p"
        keys = [packet.pts * stream.time_base * 25 for packet in container.demux(stream) if packet.is_keyframe]
    assert keys[0] == 0
    assert max(after - before for before, after in itertools.pairwise([*keys, 100])) <= 32


def test_encoded_bytes_are_equal_in_every_process() -> None:
    script = (
        "import hashlib, numpy as np\n"
        "from keras_i3d.video.encode import encode_video\n"
        "noise = np.random.default_rng(0).integers(0, 256, (20, 48, 50, 3), np.uint8)\n"
        "print(hashlib.sha256(encode_video(noise, fps=25)).hexdigest())\n"
    )
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in "12"]
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 50, 3), np.uint8)
    own = {hashlib.sha256(encode_video(iter(noise), fps=25)).hexdigest() for _ in range(10)}
    assert {run.stdout.strip() for run in runs} == own
    assert len(own) == 1


def test_frames_are_taken_one_by_one() -> None:
    def frames() -> Iterator[np.ndarray]:
        for _ in range(300):
            yield np.zeros((240, 320, 3), np.uint8)

    tracemalloc.start()
    try:
        encode_video(frames(), fps=25)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 240 * 320 * 3


def test_rows_may_lie_apart_in_memory() -> None:
    frames = soft(4, 32, 64)
    apart = np.repeat(np.repeat(frames, 2, axis=1), 2, axis=2)[:, ::2, ::2]
    assert encode_video(apart, fps=25) == encode_video(frames, fps=25)


def test_a_factor_makes_the_bytes_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
    sizes = [len(encode_video(noise, fps=25, crf=crf)) for crf in (0, 18, 40)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], r"^frames must be at least one, got none$"),
        ([np.zeros((4, 4, 3), np.float32)], r"^frames must be uint8 \(height, width, 3\) of one shape, got float32 "),
        ([np.zeros((4, 4), np.uint8)], r"got uint8 \(4, 4\)$"),
        ([np.zeros((4, 4, 4), np.uint8)], r"got uint8 \(4, 4, 4\)$"),
        ([np.zeros((0, 4, 3), np.uint8)], r"got uint8 \(0, 4, 3\)$"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)], r"of one shape, got uint8 \(4, 6, 3\)$"),
        (["a.png"], r"got str \(\)$"),
    ],
)
def test_frames_that_are_none_are_not_encoded(frames: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_video(frames, fps=25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, r"^fps must be 0\.001 to 1000, got 0$"),
        ({"fps": float("nan")}, r"^fps must be 0\.001 to 1000, got nan$"),
        ({"fps": 25, "crf": 52}, r"^crf must be 0 to 51, got 52$"),
        ({"fps": 25, "crf": -1}, r"^crf must be 0 to 51, got -1$"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_video(numbered(1), **options)


def test_an_error_of_the_frames_passes() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((16, 16, 3), np.uint8)
        raise VideoError("the source is damaged")

    with pytest.raises(VideoError, match=r"^the source is damaged$"):
        encode_video(frames(), fps=25)
