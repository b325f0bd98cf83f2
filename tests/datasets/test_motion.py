import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.datasets import motion
from keras_i3d.datasets.folder import read_folder
from keras_i3d.datasets.motion import CLASSES, QUANTITIES, MotionVideos, render, write_videos
from keras_i3d.video.decode import read_frames

SIZE = 96


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", CLASSES)
def test_a_clip_has_the_wanted_shape_and_moves(name: str) -> None:
    clip = render(name, 12, 48, rng(0))
    assert clip.shape == (12, 48, 48, 3)
    assert clip.dtype == np.uint8
    assert all((before != after).any() for before, after in itertools.pairwise(clip))


@pytest.mark.parametrize("name", CLASSES)
def test_one_seed_gives_the_same_frames_and_another_others(name: str) -> None:
    np.testing.assert_array_equal(render(name, 8, 48, rng(3)), render(name, 8, 48, rng(3)))
    assert not np.array_equal(render(name, 8, 48, rng(3)), render(name, 8, 48, rng(4)))


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_says_which_quantity_runs_and_in_which_direction(name: str) -> None:
    running, direction = CLASSES[name]
    for seed in range(20):
        paths = motion._paths(name, 24, SIZE, rng(seed))
        assert tuple(paths) == QUANTITIES
        assert (np.diff(paths[running]) * direction > 0).all()
        assert all(np.ptp(paths[other]) == 0 for other in QUANTITIES if other != running)


def test_the_classes_come_in_pairs_of_opposite_directions() -> None:
    assert sorted(CLASSES.values()) == sorted((name, sign) for name in QUANTITIES for sign in (-1, 1))
    assert list(CLASSES) == sorted(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_single_frame_does_not_tell_its_class(name: str) -> None:
    frames, clips = 24, 600

    def drawn(name: str, offset: int) -> np.ndarray:
        paths = [motion._paths(name, frames, SIZE, rng(offset, seed)) for seed in range(clips)]
        return np.array([[one[quantity][seed % frames] for quantity in QUANTITIES] for seed, one in enumerate(paths)])

    mixed = np.concatenate([drawn(other, index) for index, other in enumerate(CLASSES)])
    alone = drawn(name, 100)
    levels = (5, 25, 50, 75, 95)
    spread = mixed.std(axis=0)
    assert (spread > 0).all()
    # four standard deviations of a quantile of 600 draws, and the ends of the grid of time, which a thing that
    # moves reaches a little more often than one that stands
    np.testing.assert_allclose(
        np.percentile(alone, levels, axis=0) / spread, np.percentile(mixed, levels, axis=0) / spread, atol=0.3
    )
    np.testing.assert_allclose(alone.std(axis=0) / spread, 1, atol=0.12)


def on_black(monkeypatch: pytest.MonkeyPatch, sprite: np.ndarray) -> Callable[[str], np.ndarray]:
    """Make clips show `sprite` alone, before black; returns the renderer of mean brightness."""
    monkeypatch.setattr(motion, "_background", lambda size, rng: np.zeros((size, size, 3), np.float32))
    colours = np.repeat(sprite[..., None], 3, axis=2)
    monkeypatch.setattr(motion, "_sprite", lambda rng: (colours, np.ones(sprite.shape, np.float32)))
    return lambda name: render(name, 10, 192, rng(5)).mean(axis=-1)


def centres(clip: np.ndarray) -> np.ndarray:
    """Return (x, y) of the centre of brightness of each frame; y runs downwards."""
    rows, columns = np.mgrid[: clip.shape[1], : clip.shape[2]]
    weight = clip.sum(axis=(1, 2))
    return np.stack([(clip * columns).sum((1, 2)) / weight, (clip * rows).sum((1, 2)) / weight], axis=1)


def disc(x: int, y: int, radius: int = 8) -> np.ndarray:
    rows, columns = np.mgrid[:96, :96]
    return np.where((columns - x) ** 2 + (rows - y) ** 2 < radius**2, 255.0, 0.0).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "axis", "sign"),
    [("moves right", 0, 1), ("moves left", 0, -1), ("moves down", 1, 1), ("moves up", 1, -1)],
)
def test_shapes_move_on_the_screen_as_the_class_says(
    monkeypatch: pytest.MonkeyPatch, name: str, axis: int, sign: int
) -> None:
    steps = np.diff(centres(on_black(monkeypatch, disc(48, 48, 20))(name)), axis=0)
    assert (steps[:, axis] * sign > 4).all()
    # the centre of brightness of a disc drawn in whole levels
    np.testing.assert_allclose(steps[:, 1 - axis], 0, atol=0.2)


@pytest.mark.parametrize(("name", "sign"), [("turns clockwise", 1), ("turns anticlockwise", -1)])
def test_shapes_turn_on_the_screen_as_the_class_says(monkeypatch: pytest.MonkeyPatch, name: str, sign: int) -> None:
    pivot = centres(on_black(monkeypatch, disc(48, 48))(name)).mean(axis=0)
    hand = centres(on_black(monkeypatch, disc(80, 48))(name)) - pivot
    # with y downwards, an angle that grows runs as the hands of a clock
    turned = np.rad2deg(np.diff(np.unwrap(np.arctan2(hand[:, 1], hand[:, 0]))))
    assert (turned * sign > 10).all()
    assert 150 < abs(turned.sum()) < 300


@pytest.mark.parametrize(("name", "sign"), [("grows", 1), ("shrinks", -1)])
def test_shapes_change_their_size_on_the_screen_as_the_class_says(
    monkeypatch: pytest.MonkeyPatch, name: str, sign: int
) -> None:
    clip = on_black(monkeypatch, disc(48, 48, 30))(name)
    area = (clip > 127).sum(axis=(1, 2))
    assert (np.diff(area) * sign > 0).all()
    assert max(area[0], area[-1]) > 3 * min(area[0], area[-1])


@pytest.mark.parametrize("name", CLASSES)
def test_the_centre_of_the_shape_stays_in_the_picture(name: str) -> None:
    for seed in range(50):
        paths = motion._paths(name, 24, SIZE, rng(seed))
        for axis in ("x", "y"):
            assert (paths[axis] > 0).all()
            assert (paths[axis] < SIZE).all()


def test_no_turn_maps_a_shape_onto_itself() -> None:
    for seed in range(10):
        colours, mask = motion._sprite(rng(seed))
        assert colours.shape == (*mask.shape, 3)
        assert 0 <= mask.min() < mask.max() <= 1
        shown = colours * mask[..., None]
        for quarters in (1, 2, 3):
            assert np.abs(shown - np.rot90(shown, quarters)).mean() > 10


def test_files_stand_in_folders_of_splits_and_classes(motion_folder: Path) -> None:
    dataset = read_folder(motion_folder)
    assert dataset.class_names == tuple(name.replace(" ", "_") for name in CLASSES)
    assert dataset.counts() == {"train": 16, "val": 8, "test": 8}
    assert (motion_folder / "train/turns_anticlockwise/001.mp4").is_file()


def test_files_can_be_decoded_and_show_what_was_drawn(tmp_path: Path) -> None:
    videos = MotionVideos({"train": 1, "test": 1}, frames=6, size=48, fps=12.5, seed=9)
    written = list(write_videos(tmp_path, videos))
    assert written == sorted(written, key=lambda path: (path.parts[-3] != "train", path))
    assert len(written) == 16
    for path in written:
        index = list(CLASSES).index(path.parent.name.replace("_", " "))
        split = int(path.parts[-3] == "test")
        drawn = render(path.parent.name.replace("_", " "), 6, 48, rng(9, split, index, 0))
        decoded = read_frames(path, fps=12.5, short_side=None)
        assert decoded.shape == drawn.shape
        # H.264 at a rate factor of 18, and halved chroma on striped shapes
        assert np.abs(decoded.astype(int) - drawn).mean() < 8


def test_one_seed_gives_the_same_files_and_another_others(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        videos = MotionVideos({"train": 2}, frames=4, size=48, seed=seed)
        contents.append([path.read_bytes() for path in write_videos(tmp_path / name, videos)])
    assert contents[0] == contents[1]
    assert not set(contents[0]) & set(contents[2])
    assert len(set(contents[0])) == 16


def test_splits_share_no_video(tmp_path: Path) -> None:
    videos = MotionVideos({"train": 1, "val": 1, "test": 1}, frames=4, size=48)
    contents = [path.read_bytes() for path in write_videos(tmp_path, videos)]
    assert len(set(contents)) == 24


def test_videos_are_written_when_they_are_asked_for(tmp_path: Path) -> None:
    videos = write_videos(tmp_path, MotionVideos({"train": 100}, frames=2, size=48))
    path = next(videos)
    assert list(tmp_path.rglob("*.mp4")) == [path]
    assert len(read_frames(path, short_side=None)) == 2


def test_an_odd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"H\.264 needs an even height and width, got 49x49"):
        next(write_videos(tmp_path, MotionVideos({"train": 1}, frames=2, size=49)))
