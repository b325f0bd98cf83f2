"""From a network to pictures of what it looks at: where its evidence lies, and what its first filters are."""
