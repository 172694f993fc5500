//! Storage in plain memory, for tests, simulation and doc examples.
