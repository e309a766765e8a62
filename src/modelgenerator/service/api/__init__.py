"""The service over HTTP: parse, call an operation, answer."""
