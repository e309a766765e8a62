"""Latents in, a LoRA out: the plan, the loop and what they are made of."""
