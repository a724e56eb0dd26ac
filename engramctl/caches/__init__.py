"""Cache policies, simulated: LRU, S3-FIFO, fixed sets; and the samples they run on."""
