"""Imports: files that people bring."""
