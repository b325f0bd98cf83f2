"""The paper's numbers, to stand beside one's own. Source: Carreira & Zisserman 2017 (arXiv v3).

Top-1 in percent. Table 4 and the first rows of table 2 are of split 1; table 5 is the mean of the three splits.
"""

from __future__ import annotations

from dataclasses import dataclass

ORIGINAL, FIXED, FULL = TRANSFERS = ("original", "fixed", "full")
DATASETS = ("ucf101", "hmdb51", "kinetics")


@dataclass(frozen=True)
class Row:
    """Numbers of one table.

    Attributes:
        table: Its number in the paper.
        splits: How many splits they are the mean of.
        values: By modality (``"rgb"``, ``"flow"``, ``"both"``); those that the paper does not give are absent.
    """

    table: int
    splits: int
    values: dict[str, float]


def row(dataset: str, network: str, transfer: str, *, imagenet: bool = True, splits: int = 1) -> Row | None:
    """Return the paper's numbers for an experiment, None where it has none.

    Args:
        dataset: One of `DATASETS`.
        network: As in `keras_i3d.models.networks`; both streams of I3D count as ``"two_stream_i3d"``, and so does
            ``"i3d"``.
        transfer: ``"original"`` (trained on the data set alone), ``"fixed"`` or ``"full"``.
        imagenet: Whether the network, or the one trained on Kinetics before it, started from ImageNet.
        splits: How many splits are averaged.
    """
    network = "two_stream_i3d" if network == "i3d" else network
    if splits not in (1, 3):
        return None
    if splits == 3:
        values = _TABLE_5.get((dataset, network, transfer, imagenet))
        return None if values is None else Row(5, 3, _by_modality(values))
    if dataset == "kinetics":
        values = _TABLE_3.get((network, imagenet)) if transfer == ORIGINAL else None
        return None if values is None else Row(3, 1, _by_modality(values))
    if transfer == ORIGINAL and imagenet and (dataset, network) in _TABLE_2:
        return Row(2, 1, _by_modality(_TABLE_2[dataset, network]))
    value = _TABLE_4.get((dataset, network, imagenet), (None,) * 3)[TRANSFERS.index(transfer)]
    modality = "rgb" if network in ("convnet_lstm", "c3d") else "both"
    return None if value is None else Row(4, 1, {modality: value})


def _by_modality(values: tuple[float | None, float | None, float | None]) -> dict[str, float]:
    return {name: value for name, value in zip(("rgb", "flow", "both"), values, strict=True) if value is not None}


# rgb, flow, both; split 1, from ImageNet where the network can (3D-ConvNet cannot)
_TABLE_2 = {
    ("ucf101", "convnet_lstm"): (81.0, None, None),
    ("hmdb51", "convnet_lstm"): (36.0, None, None),
    ("ucf101", "two_stream"): (83.6, 85.6, 91.2),
    ("hmdb51", "two_stream"): (43.2, 56.3, 58.3),
    ("ucf101", "fused_two_stream"): (83.2, 85.8, 89.3),
    ("hmdb51", "fused_two_stream"): (49.2, 55.5, 56.8),
    ("ucf101", "two_stream_i3d"): (84.5, 90.6, 93.4),
    ("hmdb51", "two_stream_i3d"): (49.8, 61.9, 66.4),
}
# rgb, flow, both on Kinetics; (network, from ImageNet)
_TABLE_3 = {
    ("convnet_lstm", False): (53.9, None, None),
    ("convnet_lstm", True): (63.3, None, None),
    ("c3d", False): (56.1, None, None),
    ("two_stream", False): (57.9, 49.6, 62.8),
    ("two_stream", True): (62.2, 52.4, 65.6),
    ("fused_two_stream", False): (None, None, 62.7),
    ("fused_two_stream", True): (None, None, 67.2),
    ("two_stream_i3d", False): (68.4, 61.5, 71.6),
    ("two_stream_i3d", True): (71.1, 63.4, 74.2),
}
# original, fixed, full; split 1; all streams of the network; (data set, network, from ImageNet)
_TABLE_4 = {
    ("ucf101", "convnet_lstm", True): (81.0, 88.1, 91.0),
    ("ucf101", "convnet_lstm", False): (54.2, 82.6, 86.8),
    ("hmdb51", "convnet_lstm", True): (36.0, 50.8, 53.4),
    ("hmdb51", "convnet_lstm", False): (18.3, 47.1, 49.7),
    ("ucf101", "c3d", False): (51.6, 76.0, 79.9),
    ("hmdb51", "c3d", False): (24.3, 47.0, 49.4),
    ("ucf101", "two_stream", True): (91.2, 93.9, 94.2),
    ("ucf101", "two_stream", False): (83.6, 93.3, 93.8),
    ("hmdb51", "two_stream", True): (58.3, 66.6, 66.6),
    ("hmdb51", "two_stream", False): (47.1, 65.9, 64.3),
    ("ucf101", "fused_two_stream", True): (89.3, 94.3, 94.2),
    ("ucf101", "fused_two_stream", False): (69.5, 89.8, 91.5),
    ("hmdb51", "fused_two_stream", True): (56.8, 69.9, 71.0),
    ("hmdb51", "fused_two_stream", False): (37.3, 64.6, 66.5),
    ("ucf101", "two_stream_i3d", True): (93.4, 97.7, 98.0),
    ("ucf101", "two_stream_i3d", False): (88.8, 97.4, 97.6),
    ("hmdb51", "two_stream_i3d", True): (66.4, 79.7, 81.2),
    ("hmdb51", "two_stream_i3d", False): (62.2, 78.6, 81.3),
}
# rgb, flow, both; mean of three splits, full fine-tuning
_TABLE_5 = {
    ("ucf101", "two_stream_i3d", FULL, True): (95.6, 96.7, 98.0),
    ("ucf101", "two_stream_i3d", FULL, False): (95.1, 96.5, 97.8),
    ("hmdb51", "two_stream_i3d", FULL, True): (74.8, 77.1, 80.7),
    ("hmdb51", "two_stream_i3d", FULL, False): (74.3, 77.3, 80.9),
}
