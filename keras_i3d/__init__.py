"""I3D in Keras 3: from a video file to a model behind TensorFlow Serving.

Names are resolved at their first use, so that ``import keras_i3d`` and the workers that only decode video
stay light.
"""

import importlib
import sys
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "I3D": "models.i3d",
    "TwoStreamI3D": "models.two_stream_i3d",
    "InceptionV1": "models.inception_v1",
    "ConvNetLSTM": "models.convnet_lstm",
    "C3D": "models.c3d",
    "TwoStream": "models.two_stream",
    "FusedTwoStream": "models.fused_two_stream",
    "TimePlan": "models.time_plan",
    "top_heavy": "models.time_plan",
    "bottom_heavy": "models.time_plan",
    "separable": "models.time_plan",
    "preprocess_input": "models.i3d",
    "decode_predictions": "models.i3d",
    "load_checkpoint": "checkpoints.load",
    "inflate": "inflation.inflate",
    "boring_video_error": "inflation.boring_video",
    "load_model": "models.saved",
    "make_tfrecords": "records.making",
    "RecordSettings": "records.settings",
    "Recipe": "training.recipe",
    "Execution": "training.execution",
    "fit": "training.fit",
    "evaluate": "evaluation.evaluate",
    "fuse": "evaluation.evaluate",
    "export": "serving.export",
    "ServingOptions": "serving.options",
    "predict": "serving.prediction",
    "explain": "explanation.explain",
    "extract_features": "features.extract",
    "FeatureSettings": "features.settings",
    "Features": "features.files",
    "read_features": "features.files",
    "frechet_video_distance": "fvd.measure",
    "video_statistics": "fvd.seeing",
    "VideoStatistics": "fvd.statistics",
    "FvdOptions": "fvd.options",
    "FrechetVideoDistance": "fvd.metric",
    "predict_stream": "serving.stream",
    "timeline": "serving.timeline",
}

_PARTS = ("datasets", "layers")  # whose names stay together

__all__ = ["__version__", *_HOMES, *_PARTS]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if "keras" in sys.modules:
    # Keras finds the layers of this package in saved files by their registration, which costs nothing here
    # and spares `import keras, keras_i3d; keras.models.load_model(...)` a custom_objects argument.
    importlib.import_module(f"{__name__}.layers")
