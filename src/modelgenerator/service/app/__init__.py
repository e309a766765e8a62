"""The whole service in one process: web, dispatcher and what is done from time to time."""
