"""The photo's story up to the training: files of a person in, pictures with captions out."""
