"""The chosen frames of one stream of a record to pixels: no frame more, and no pixel outside the crop kept.

A frame is cut as soon as it is decoded, while it is of bytes, so that whole clips of float32 exist of the crop alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from keras_i3d import streams
from keras_i3d.clips import transforms
from keras_i3d.protocol import short_side_for
from keras_i3d.records import schema
from keras_i3d.video.flow import from_stored


@dataclass(frozen=True, eq=False)
class Strip:
    """Frames of one stream of a record, still encoded.

    Attributes:
        modality: ``"rgb"`` or ``"flow"``.
        places: int32 tensor of shape (time,), which frames of the record.
        encoded: String tensor, the record's frames, each for itself; where the record holds a video, not used.
        video: What `schema.decode_video` takes, or None.
    """

    modality: str
    places: Any
    encoded: Any
    video: Any | None = None

    def frames(self) -> Any:
        """Decode the frames: float32 (time, height, width, channels), rgb in [0, 255], flow in pixels."""
        return _values(self._images(), self.modality)

    def view(
        self,
        size: int,
        place: Any = transforms.CENTRE,
        *,
        short_side: Any | None = None,
        mirrored: Any = False,
        relight: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Decode, cut, mirror and scale, of rgb change the light between; by default as `transforms.testing_view`.

        Args:
            size: Height and width of the result.
            place: As in `transforms.cut`.
            short_side: Pixels of the shorter side that frames are resized to before; None for the paper's.
            mirrored: bool scalar.
            relight: What to do with float32 rgb in [0, 255].

        Returns:
            float32 tensor of shape (time, size, size, channels) in [-1, 1].
        """
        short_side = short_side_for(size) if short_side is None else short_side
        mirrored = tf.convert_to_tensor(mirrored)

        def finished(frames: Any) -> Any:
            if relight is not None and self.modality == "rgb":
                frames = relight(tf.cast(frames, tf.float32))
            return transforms.scale(frames, self.modality)

        def turned(frames: Any) -> Any:
            return tf.cond(mirrored, lambda: transforms.flip(frames, self.modality), lambda: frames)

        if self.video is not None:
            return finished(turned(transforms.cut(self.frames(), size, self.modality, place, short_side)))
        chosen = tf.gather(self.encoded, self.places)
        sides = _sides(chosen[0], self.modality)
        fits = tf.equal(tf.reduce_min(sides), short_side)
        corner = tf.where(fits, transforms.corner(sides, size, place), 0)
        box = tf.concat([corner, tf.where(fits, size, sides)], axis=0)
        images = _decode(chosen, self.modality, box, sides, tf.logical_and(fits, mirrored))

        def of_squares() -> Any:
            # not by ensure_shape: TensorFlow's optimiser would take its word for `images` in the other branch too
            squares = tf.reshape(images, (-1, size, size, images.shape[-1]))
            if self.modality == "flow":
                squares = _values(squares, self.modality) * tf.where(mirrored, [-1.0, 1.0], [1.0, 1.0])
            return finished(squares)

        def of_whole_frames() -> Any:
            frames = _values(images, self.modality)
            return finished(turned(transforms.resize_and_crop(frames, size, self.modality, place, short_side)))

        return tf.cond(fits, of_squares, of_whole_frames)

    def squares(self, size: int, place: Any = transforms.CENTRE, *, mirrored: Any = False) -> Any:
        """Decode, cut and mirror rgb as `view` does, but leave it bytes, which are quicker to handle.

        All frames must be JPEGs of the paper's short side.

        Args:
            size: Height and width of the result.
            place: As in `transforms.cut`.
            mirrored: bool scalar.

        Returns:
            uint8 tensor of shape (time, size, size, 3).
        """
        chosen = tf.gather(self.encoded, self.places)
        sides = tf.image.extract_jpeg_shape(chosen[0])[:2]
        fits = tf.debugging.assert_equal(
            tf.reduce_min(sides),
            short_side_for(size),
            "another short side than the records are said to have",
        )
        with tf.control_dependencies([fits]):
            box = tf.concat([transforms.corner(sides, size, place), [size, size]], axis=0)
        squares = _decode(chosen, "rgb", box, sides, tf.convert_to_tensor(mirrored), only_jpeg=True)
        return tf.ensure_shape(squares, (None, size, size, 3))

    def _images(self) -> Any:
        if self.video is not None:
            return schema.decode_video(self.video, self.places)
        return schema.decode_images(tf.gather(self.encoded, self.places), self.modality)


def _values(images: Any, modality: str) -> Any:
    values = tf.cast(images, tf.float32)
    return from_stored(values) if modality == "flow" else values


def _sides(encoded: Any, modality: str) -> Any:
    """Return height and width of a picture, of a JPEG from its header: int32 (2,)."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.shape(schema.decode_picture(encoded, modality))[:2],
    )


def _decode(encoded: Any, modality: str, box: Any, sides: Any, mirrored: Any, *, only_jpeg: bool = False) -> Any:
    """Decode a part of each picture.

    Args:
        encoded: String tensor of shape (time,), JPEG or PNG.
        modality: ``"rgb"`` or ``"flow"``.
        box: int32 (4,), the part: top, left, height, width.
        sides: int32 (2,), height and width of the pictures.
        mirrored: bool scalar, whether the part is mirrored left to right.
        only_jpeg: Whether no picture has another format, which spares a look at each.

    Returns:
        uint8 tensor of shape (time, height, width, channels).
    """
    channels = streams.channels(modality)
    top, left, height, width = tf.unstack(box)
    # A pixel's colour in a JPEG depends on its neighbours' left and right: with these decoded too, the part is to the
    # last bit that of the whole picture.
    before = tf.maximum(left - 1, 0)
    window = tf.stack([top, before, height, tf.minimum(left + width + 2, sides[1]) - before])

    def columns_of(one: Any) -> Any:
        if modality == "flow":
            return schema.decode_picture(one, modality)[top : top + height, before:]
        if only_jpeg:
            return tf.image.decode_and_crop_jpeg(one, window, channels=3, dct_method=schema.DCT_METHOD)
        return tf.cond(
            tf.io.is_jpeg(one),
            lambda: tf.image.decode_and_crop_jpeg(one, window, channels=3, dct_method=schema.DCT_METHOD),
            lambda: schema.decode_picture(one, modality)[top : top + height, before:],
        )

    def part_of(one: Any) -> Any:
        part = columns_of(one)[:, left - before : left - before + width]
        return tf.cond(mirrored, lambda: tf.reverse(part, axis=[1]), lambda: part)

    return tf.map_fn(part_of, encoded, fn_output_signature=tf.TensorSpec([None, None, channels], tf.uint8))
