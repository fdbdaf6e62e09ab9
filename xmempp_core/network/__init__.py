"""Networks, their model files and the pure operations of memory reading."""
