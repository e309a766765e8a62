"""Low-rank corrections (LoRA): the layers, putting them into a model, their files."""
