"""From records to batches: which frames, which part of them, which range."""
