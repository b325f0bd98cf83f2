import subprocess
import sys

import pytest

from keras_i3d.protocol import FPS, Frames, Protocol, short_side_for

SNAPSHOTS = {"rgb": Frames(step=10, offset=5), "flow": Frames()}


@pytest.mark.parametrize(("step", "offset"), [(1, 0), (5, 0), (10, 5), (3, 4)])
@pytest.mark.parametrize("span", [0, 1, 4, 5, 6, 10, 49, 50, 250])
def test_a_stream_takes_every_step_th_frame_from_its_offset_on(step: int, offset: int, span: int) -> None:
    taken = [index for index in range(span) if index >= offset and (index - offset) % step == 0]
    assert Frames(step, offset).count(span) == len(taken) == len(range(span)[offset::step])


def test_a_protocol_names_its_streams_and_the_frames_after_which_they_begin_anew() -> None:
    assert Protocol(SNAPSHOTS, train_frames=10, test_frames=250).modalities == ("rgb", "flow")
    assert Protocol(SNAPSHOTS, train_frames=10, test_frames=250).period == 10
    assert Protocol({"rgb": Frames()}, train_frames=16, test_frames=240, window=16).period == 1
    both = {"rgb": Frames(step=4), "flow": Frames(step=6)}
    assert Protocol(both, train_frames=12, test_frames=240).period == 12


def test_a_period_of_snapshots_gives_each_its_frame_and_its_ten_fields() -> None:
    protocol = Protocol(SNAPSHOTS, train_frames=50, test_frames=250)
    for periods in (1, 5, 25):
        counts = {name: part.count(periods * protocol.period) for name, part in protocol.streams.items()}
        assert counts == {"rgb": periods, "flow": 10 * periods}


def test_frames_are_counted_at_25_per_second() -> None:
    assert FPS == 25.0


def test_the_module_needs_nothing() -> None:
    script = "import sys, keras_i3d.protocol; assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("size", "short_side"), [(224, 256), (112, 128), (64, 73), (32, 37), (28, 32), (299, 342), (1, 1), (3, 3), (4, 5)]
)
def test_the_short_side_keeps_the_ratio_of_the_paper(size: int, short_side: int) -> None:
    assert short_side_for(size) == short_side
    assert all(short_side_for(smaller) >= smaller for smaller in range(1, size))
