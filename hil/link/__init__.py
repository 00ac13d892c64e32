"""The framed link between harness and firmware, host side; docs/protocol.md is its contract."""
