"""Drivers: one module for each protocol; the only places that know a vendor library."""
