"""Layers with the arithmetic of PyTorch's."""
