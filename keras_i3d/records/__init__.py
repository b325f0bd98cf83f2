"""What lies on disk: labelled clips as TFRecord shards of SequenceExamples."""
