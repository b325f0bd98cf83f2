"""What leaves the package: SavedModels that take raw frames, and the answers of models, here or behind a server."""
