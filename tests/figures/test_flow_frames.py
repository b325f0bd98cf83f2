import numpy as np
import pytest

from keras_i3d.figures import flow_colours
from keras_i3d.figures.flow_frames import flow_frames


@pytest.mark.parametrize(("height", "width"), [(60, 80), (91, 33), (2, 300)])
def test_frames_stand_beside_their_flow(height: int, width: int) -> None:
    frames = np.full((3, height, width, 3), 90, np.uint8)
    flow = np.zeros((3, height, width, 2), np.float32)
    flow[1, ..., 0] = 4  # the scale, since one field in three has it
    drawn = list(flow_frames(frames, flow, title="läuft " * 60, fps=25))
    assert len({frame.shape for frame in drawn}) == 1 and len(drawn) == 3
    assert not drawn[0].shape[0] % 2 and not drawn[0].shape[1] % 2
    right = flow_colours.paint(np.array([4.0, 0.0]), 4.0)
    counts = [(np.abs(frame.astype(int) - right).max(axis=-1) < 3).sum() for frame in drawn]
    assert counts[1] > 500 + counts[0] and counts[0] == counts[2]


def test_flow_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no finite numbers"):
        list(flow_frames(np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 2), np.nan), title="a", fps=25))
