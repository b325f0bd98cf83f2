"""What the networks are: Keras functional builders, on any Keras backend."""
