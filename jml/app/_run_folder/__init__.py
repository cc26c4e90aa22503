"""The folder of a run: claimed and locked, written, and read again."""
