"""One chunk, one partition: keys, records, and the loops that count them.

keys        the order of every result, and the record of an n-gram
reference   the counts in plain Python: what every engine must give
count       the two pure steps: a chunk -> records by partition; a partition -> rows of every order
records, hash_counter, levels    the compiled loops of the two steps
unigrams, top               what needs all partitions: order 1, --top-k
"""
