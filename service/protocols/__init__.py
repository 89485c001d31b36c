"""What goes over WebSockets, in our own words and in those of others; no sockets here."""
