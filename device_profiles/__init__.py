"""Device types as data: one YAML a type, `<maker>/<model>.yaml`."""
