"""A compound with known truth, served over real protocols; used by the demo and the tests."""
