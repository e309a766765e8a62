"""CLIP's vocabulary, carried along; its licence lies beside it."""
