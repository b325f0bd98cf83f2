"""From weights to numbers: whole videos in, metrics out."""
