"""Public tools for tests: mini cluster, clocks, faults."""
