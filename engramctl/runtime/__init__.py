"""What computations run on: compiled kernels kept safely, worker threads that survive a fork."""
