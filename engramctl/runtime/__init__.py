"""What computations run on: kernels compiled and kept, threads, lazy names."""
