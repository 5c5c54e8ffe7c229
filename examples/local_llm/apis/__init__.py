"""The endpoints, a module for each dialect that clients speak."""
