"""What idemkit costs, each row against the floor of the same work in the same run."""
