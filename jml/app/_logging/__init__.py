"""What a run logs and prints while it trains."""

from ._journal import Journal as Journal
from ._wandb_log import WandbLog as WandbLog
from ._wandb_log import load_wandb as load_wandb

__all__ = ["Journal", "WandbLog", "load_wandb"]
