"""What the service remembers, as plain frozen values; no SQL, no HTTP."""
