"""What people put into .qmail files or type."""
