"""Videos into arrays of features, window by window."""
