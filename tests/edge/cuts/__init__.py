"""Power cuts, full and read-only disks: a preloaded shim, and the disk that a cut leaves behind."""
