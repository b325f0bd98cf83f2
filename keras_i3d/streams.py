"""The two streams of a video, as every part of the package names and measures them. Imports nothing."""

CHANNELS = {"rgb": 3, "flow": 2}  # flow: x, then y
BOTH = "both"  # rgb and flow together
FLOW_BOUND = 20.0  # pixels per frame; larger motion is cut, as for the published weights


def channels(modality: str) -> int:
    """Return the channels of a stream: 3 for ``"rgb"``, 2 (x, y) for ``"flow"``.

    Raises:
        ValueError: The modality is unknown.
    """
    if modality not in CHANNELS:
        raise ValueError(f"unknown modality {modality!r}; known: {', '.join(CHANNELS)}")
    return CHANNELS[modality]


def modalities(modality: str) -> tuple[str, ...]:
    """Return the streams that a modality stands for: itself, or rgb and flow for ``"both"``.

    Raises:
        ValueError: The modality is unknown.
    """
    if modality == BOTH:
        return tuple(CHANNELS)
    if modality not in CHANNELS:
        raise ValueError(f"unknown modality {modality!r}; known: {', '.join(CHANNELS)}, {BOTH}")
    return (modality,)
