"""Where records and files are kept: the only place that speaks SQL."""
