"""Steps on files: replaced whole, read strictly, held, with room for them."""
