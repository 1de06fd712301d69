"""The console: pages for the energy officer."""
