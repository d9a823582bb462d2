"""A made-up city: the records of firms that do not exist, coherent and the same for a seed."""
