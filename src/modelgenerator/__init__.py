"""Teaches a diffusion model a person's subject: photos in, a LoRA out, pictures back."""
