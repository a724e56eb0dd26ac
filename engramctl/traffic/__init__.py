"""Which token ids are looked up: real text, Zipf, uniform; and what is odd about them."""
