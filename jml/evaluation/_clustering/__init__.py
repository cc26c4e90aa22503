"""k-means, and how well clusters agree with classes."""
