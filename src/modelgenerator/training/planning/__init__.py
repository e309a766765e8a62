"""From settings to a plan: one module for each thing that has to be decided."""
