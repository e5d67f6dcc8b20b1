"""The deciding: one engine that locks, applies, allocates, writes and sends."""
