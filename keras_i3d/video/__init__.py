"""From a video file to arrays, and back: numpy and the decoder, never TensorFlow."""
