"""Getting the released data: listing, transfer, unpacking, checking."""
