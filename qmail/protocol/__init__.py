"""Sans-IO protocol cores: bytes in, replies and events out; no socket, clock or environment."""
