"""Fleet: configurations for agents, signed by the officer's key, which the server never sees."""

from server.fleet.document import MAX_BYTES, AgentDocument, checked_document, config_hash

__all__ = ["MAX_BYTES", "AgentDocument", "checked_document", "config_hash"]
