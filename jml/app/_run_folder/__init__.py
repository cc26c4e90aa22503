"""The folder a run writes: made, locked, filled, resumed and read again."""
