"""The names that a served model and its clients agree on: of signatures, of inputs, of outputs. Imports nothing."""

ASSETS, EXTRA = "assets", "assets.extra"  # TensorFlow's folders for files that ride along with a SavedModel
DEFAULT, FRAMES, CLIP, FEATURES, DESCRIPTION = "serving_default", "frames", "clip", "features", "description"

RGB_BYTES = "rgb_bytes"  # the input of encoded frames; TensorFlow Serving takes `_bytes` for a name of binary values
QUERY = "query"  # the input of a description, whatever it holds

LOGITS = "logits"
# the outputs of a description
PREPARATION, ACTIVATION, CLASS_NAMES, MAX_FRAMES = "preparation", "activation", "class_names", "max_frames"
