"""Where the records are: the two stores, as retention needs them."""
