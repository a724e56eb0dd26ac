"""A model's folder of safetensors files: which tensors count."""
