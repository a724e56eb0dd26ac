"""A model's folder of safetensors files: which of its tensors count, and what is absent."""
