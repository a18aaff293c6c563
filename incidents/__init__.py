"""What went wrong, what is owed because of it, and the notices that go out."""
