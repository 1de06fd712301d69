"""What the edge costs, beside the limits of its lines and beside others doing the same."""
