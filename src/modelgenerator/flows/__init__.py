"""A pipeline as JSON: what it may say, what is wrong with it, and which step comes next."""
