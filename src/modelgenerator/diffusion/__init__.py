"""The base models: what training and generation both need to know of them."""
