"""What can be measured on one photo, each in a module of its own; numbers in, numbers out."""
