"""Names of files in a run's folder that more than the training reads."""

CONFIG = "config.json"
CALIBRATION = "threshold.json"
# The weights at the last evaluation, and at that with the highest Recall@1.
WEIGHTS = {"last": "weights.safetensors", "best": "best.safetensors"}
