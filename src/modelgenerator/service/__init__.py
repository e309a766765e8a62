"""The system around the library: who may do what, what is remembered, what it costs, what runs."""
