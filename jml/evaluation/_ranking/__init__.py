"""The exact rank of every relevant item, block by block on the device."""
