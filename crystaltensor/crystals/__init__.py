"""What a crystal is, and how one is read and written."""
