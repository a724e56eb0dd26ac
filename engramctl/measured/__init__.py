"""What a run measures: the folder, the models, the stores that it opens."""
