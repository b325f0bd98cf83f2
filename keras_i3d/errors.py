"""The errors a user can meet that are not a wrong argument (those are ``ValueError``).

KerasI3DError
├── MissingDependency     an optional package is not installed (also an ImportError)
├── VideoError            a file that cannot be decoded as video
│   └── TruncatedVideo    a video with fewer frames than its container promises
├── DatasetError          a folder or table of videos that cannot be read as a data set
├── RecordError           records that are absent, damaged, or without what was asked for
├── FeaturesFileError     a file that holds no features of a video
├── StorageError         a file or bucket that cannot be read, written or reached
├── CheckpointMismatch    a checkpoint that is not exactly the network's
├── WeightsUnavailable    published weights that are neither in the cache nor to be fetched
├── ModelFileError        a file or folder that is no model of this package
├── StatisticsError       a file of a video set's saved statistics that is absent, damaged or something else
├── PredictionError       a model that refuses a clip, or fails on it
├── ServerError           a server that cannot be reached, has no such model, or refuses a request
├── TrainingError         a training run that cannot go on
├── ClusterError          workers that cannot be reached, cannot start, or are not alike
└── OutputFolderError     an output folder that holds something else

The command line turns each of them into one line on standard error and exit code 1.
"""


class KerasI3DError(Exception):
    """Base class of the errors above."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, for a message of one line; its class where it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class MissingDependency(KerasI3DError, ImportError):
    """An optional package is not installed; the message has the pip line that brings it."""


class VideoError(KerasI3DError):
    """A file cannot be decoded as video."""


class TruncatedVideo(VideoError):
    """A video holds fewer frames than its container promises."""


class DatasetError(KerasI3DError):
    """A folder or table of videos cannot be read as a data set."""


class RecordError(KerasI3DError):
    """Records are absent, damaged, or lack what was asked for."""


class FeaturesFileError(KerasI3DError):
    """A file holds no features of a video, or is damaged."""


class StorageError(KerasI3DError):
    """A file or bucket cannot be read, written or reached; the message names it and what helps."""


class CheckpointMismatch(KerasI3DError):
    """A checkpoint's variables are not exactly the network's, by name and shape."""


class WeightsUnavailable(KerasI3DError):
    """Published weights are neither in the cache nor to be fetched."""


class ModelFileError(KerasI3DError):
    """A file or folder is no model that this package can use."""


class StatisticsError(KerasI3DError):
    """A file of a video set's saved statistics is absent, damaged, or something else."""


class PredictionError(KerasI3DError):
    """A model of this machine refuses a clip or fails on it; the message is its own."""


class ServerError(KerasI3DError):
    """A server cannot be reached, does not answer in time, has no such model, or refuses a request.

    Attributes:
        code: gRPC's name of what is wrong, such as ``"UNAVAILABLE"`` or ``"INVALID_ARGUMENT"``; over REST, the one
            that TensorFlow Serving answers with that HTTP status.
    """

    def __init__(self, message: str, code: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.code = code


class TrainingError(KerasI3DError):
    """A training run cannot go on."""


class ClusterError(KerasI3DError):
    """Workers cannot be reached, cannot start, or are not alike."""


class OutputFolderError(KerasI3DError):
    """An output folder holds something other than the same command's run with the same settings."""
