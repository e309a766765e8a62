"""A LoRA and a prompt in, pictures out."""
