"""What the statistics programs stand on."""
