"""What can be asked of the service: one function a wish, whoever asks, by HTTP, page or flow."""
