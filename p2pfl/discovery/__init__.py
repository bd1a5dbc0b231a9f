"""Discovery: where peers might be; a hint, never a reason to trust."""
