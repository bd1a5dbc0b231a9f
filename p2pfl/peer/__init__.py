"""The driver in the field: asyncio, real links, real time, training in a worker thread."""
