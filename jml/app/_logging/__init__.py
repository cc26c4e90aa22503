"""What a run logs and prints while it trains."""
