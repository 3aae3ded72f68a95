"""What the administrator runs."""
