"""What every program here stands on: chains, failures, command lines, streams."""
