"""What was learned from an incident, and what will be done about it."""
