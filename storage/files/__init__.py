"""Steps on files: replaced whole, read strictly, checked, held, with room for them."""
