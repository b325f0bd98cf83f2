"""The names that a served model and its clients agree on: of signatures, of inputs, of outputs. Imports nothing."""

DEFAULT, FRAMES, CLIP, FEATURES, DESCRIPTION = "serving_default", "frames", "clip", "features", "description"

RGB_BYTES = "rgb_bytes"  # the input of encoded frames; TensorFlow Serving takes `_bytes` for a name of binary values
QUERY = "query"  # the input of a description, whatever it holds

LOGITS = "logits"
PREPARATION, ACTIVATION, CLASS_NAMES = "preparation", "activation", "class_names"  # the outputs of a description
