"""The language edge and server both speak; standard library only."""
