"""What is where, and what should be."""
