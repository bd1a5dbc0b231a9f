"""Who a node is and how it proves it: keys and ids, certificate, handshake, admission, tickets; sans-IO."""
