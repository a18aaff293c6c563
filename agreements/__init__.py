"""What was agreed."""
