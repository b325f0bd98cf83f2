import pytest

from keras_i3d import streams


@pytest.mark.parametrize(("modality", "channels"), [("rgb", 3), ("flow", 2)])
def test_streams_have_their_channels(modality: str, channels: int) -> None:
    assert streams.channels(modality) == streams.CHANNELS[modality] == channels


@pytest.mark.parametrize("modality", ["RGB", "sound", "", None, 3])
def test_an_unknown_modality_is_refused_with_the_known_ones(modality: object) -> None:
    with pytest.raises(ValueError, match=rf"^unknown modality {modality!r}; known: rgb, flow$"):
        streams.channels(modality)


@pytest.mark.parametrize(("modality", "names"), [("rgb", ("rgb",)), ("flow", ("flow",)), ("both", ("rgb", "flow"))])
def test_a_modality_stands_for_its_streams(modality: str, names: tuple[str, ...]) -> None:
    assert streams.modalities(modality) == names


@pytest.mark.parametrize("modality", ["depth", "", None, 3])
def test_what_stands_for_no_stream_is_refused_with_what_does(modality: object) -> None:
    with pytest.raises(ValueError, match=rf"^unknown modality {modality!r}; known: rgb, flow, both$"):
        streams.modalities(modality)


def test_flow_is_bounded_as_for_the_published_weights() -> None:
    assert streams.FLOW_BOUND == 20.0
