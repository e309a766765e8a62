"""The algorithms that change a LoRA's numbers, one module each, all on flat buffers."""
