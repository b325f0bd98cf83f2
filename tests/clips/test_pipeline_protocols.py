"""Which frames of a video reach which network, in training, validation and testing."""

from pathlib import Path

import numpy as np
import pytest
from coded_records import SIZE, STEP, batches, garbled, record, write_shard

from keras_i3d.clips.augmentation import Augmentation
from keras_i3d.clips.pipeline import centre_clips, whole_videos
from keras_i3d.models import networks
from keras_i3d.protocol import Frames, Protocol


def coded(count: int) -> np.ndarray:
    """Return flat frames of 16x20 pixels whose red and green tell a higher index: its sixteens and its ones."""
    indices = np.arange(count)
    colours = np.stack([STEP * (indices // 16), STEP * (indices % 16), 0 * indices], axis=-1).astype(np.uint8)
    return np.broadcast_to(colours[:, None, None, :], (count, 16, 20, 3))


def decoded(values: np.ndarray) -> list[int]:
    """Return the indices of frames of `coded` in the range of a network, also of fields of flow."""
    digits = np.rint((values.mean(axis=(-3, -2))[:, :2] + 1) * 127.5 / STEP).astype(int)
    return (16 * digits[:, 0] + digits[:, 1]).tolist()


def taken(start: int, available: int, span: int, part: Frames) -> list[int]:
    """Walk through a clip frame by frame, from the video's first again behind its last, and keep what is taken."""
    clip = [(start + place) % available for place in range(span)]
    return [
        index for place, index in enumerate(clip) if place >= part.offset and (place - part.offset) % part.step == 0
    ]


PROTOCOLS = [(name, modality) for name, one in networks.NETWORKS.items() for modality in one.protocols]


@pytest.fixture(scope="module", params=PROTOCOLS, ids=lambda pair: "-".join(pair))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    name, modality = request.param
    return networks.network(name).protocol(modality)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """Return, by their length, shards of one video of which every frame and field tells its index."""
    folder = tmp_path_factory.mktemp("coded")
    return {
        count: [write_shard(folder / str(count), [record(count, coded(count), coded(count)[..., :2])])]
        for count in (7, 137, 255)
    }


@pytest.mark.parametrize("available", [7, 137])
def test_each_network_is_trained_on_the_frames_of_its_protocol(
    protocol: Protocol, videos: dict, available: int
) -> None:
    span = protocol.train_frames
    starts = set()
    for inputs, _ in batches(
        videos[available],
        4,
        frames=span,
        batch_size=1,
        modalities=protocol.streams,
        augmentation=Augmentation(flips=False),
    ):
        assert tuple(inputs) == protocol.modalities
        first = {name: decoded(values[0])[0] for name, values in inputs.items()}
        dense = next(name for name in first if protocol.streams[name].offset == 0)
        starts.add(first[dense])
        for name, part in protocol.streams.items():
            assert decoded(inputs[name][0]) == taken(first[dense], available, span, part), name
    assert len(starts) > 1 or available == 7
    assert max(starts) <= max(0, available - span)


@pytest.mark.parametrize("available", [7, 137])
def test_each_network_is_validated_on_the_middle_frames_of_its_protocol(
    protocol: Protocol, videos: dict, available: int
) -> None:
    span = protocol.train_frames
    dataset = centre_clips(videos[available], frames=span, size=SIZE, batch_size=1, modalities=protocol.streams)
    assert {name: spec.shape[1] for name, spec in dataset.element_spec[0].items()} == {
        name: part.count(span) for name, part in protocol.streams.items()
    }
    ((inputs, _, _),) = dataset.as_numpy_iterator()
    for name, part in protocol.streams.items():
        assert decoded(inputs[name][0]) == taken(max(0, available - span) // 2, available, span, part), name


@pytest.mark.parametrize("available", [7, 137, 255])
def test_each_network_is_tested_on_whole_windows_or_periods_around_the_middle(
    protocol: Protocol, videos: dict, available: int
) -> None:
    multiple = protocol.window or protocol.period
    dataset = whole_videos(
        videos[available], size=SIZE, modalities=protocol.streams, most=protocol.test_frames, multiple=multiple
    )
    ((inputs, _, _),) = dataset.as_numpy_iterator()
    span = max(min(available, protocol.test_frames) // multiple, 1) * multiple
    for name, part in protocol.streams.items():
        assert decoded(inputs[name]) == taken(max(0, available - span) // 2, available, span, part), name
    if available == 255:  # ten seconds, as in table 1 of the paper
        assert span == protocol.test_frames


def test_only_the_frames_that_a_protocol_takes_are_decoded(tmp_path: Path) -> None:
    clip = garbled(record(0, coded(20), coded(20)[..., :2]), range(5, 20, 10))
    path = write_shard(tmp_path / "shard", [clip])
    snapshots = {"rgb": Frames(step=10, offset=5)}
    ((inputs, _, _),) = centre_clips([path], frames=20, size=SIZE, batch_size=1, modalities=snapshots)
    assert decoded(inputs["rgb"][0].numpy()) == [5, 15]
