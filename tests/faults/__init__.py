"""Nothing is lost: the faults that whole agents are put through, and what is held against them."""
