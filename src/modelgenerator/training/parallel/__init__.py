"""One training in several processes: each learns from a part of every step, with one gradient."""
