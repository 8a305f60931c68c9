"""Generated protobuf code and its sources (regenerate with `make proto`)."""
