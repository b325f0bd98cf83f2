"""One video to one file of features: what a worker of a cluster does. A process loads a model once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache

from keras_i3d.errors import ClusterError
from keras_i3d.features import endpoints
from keras_i3d.features.endpoints import Endpoint
from keras_i3d.features.extraction import FileSource, Outcome, extract
from keras_i3d.features.files import sink
from keras_i3d.features.report import VideoReport
from keras_i3d.features.settings import FeatureSettings

_LOADING = threading.Lock()  # the threads of a worker share a model


@dataclass(frozen=True)
class FeatureTask:
    """What a worker is told.

    Attributes:
        video: Path of the video, or its URL.
        path: Of the file of features, or its URL.
        model: File or name of the model.
        modality: Stream of published weights.
        settings: What decides the features.
        digest: Of the model, as the one who asks has it.
    """

    video: str
    path: str
    model: str
    modality: str | None
    settings: FeatureSettings
    digest: str


def write(task: FeatureTask) -> VideoReport:
    """Write the features of one video.

    Raises:
        ClusterError: The model that this process finds is another one.
        StorageError: The video's storage cannot be reached, or the file cannot be written.
        PredictionError: The network fails.
    """
    with _LOADING:
        endpoint = _endpoint(task.model, task.modality, task.settings)
    if digest(endpoint) != task.digest:
        raise ClusterError(
            f"{task.model}: a worker finds another model there (SHA-256 {digest(endpoint)}, wanted is {task.digest}); "
            "all must see the same one under the same name"
        )
    outcomes = extract(endpoint, [FileSource(task.video)], lambda _: sink(task.path, task.settings.file_format))
    return report(task.video, next(outcomes))


def report(video: str, outcome: Outcome) -> VideoReport:
    """Return an outcome as what is told of a video."""
    skipped = None if outcome.error is None else " ".join(str(outcome.error).split())
    return VideoReport(video, outcome.frames, outcome.windows, skipped, outcome.damage)


def lost(task: FeatureTask) -> VideoReport:
    """Return the report of a video that killed one process after another."""
    reason = (
        f"{task.video}: every process that read it died: it hung, crashed in the decoder, or was killed for want of "
        "memory"
    )
    return VideoReport(task.video, skipped=reason)


def digest(endpoint: Endpoint) -> str:
    """Return the SHA-256 that tells the model of an end point from others."""
    return endpoint.facts.get("model_sha256") or endpoint.facts["weights_sha256"]


@lru_cache(1)
def _endpoint(model: str, modality: str | None, settings: FeatureSettings) -> Endpoint:
    return endpoints.load(model, settings, modality=modality)
