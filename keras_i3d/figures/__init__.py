"""What people would rather look at than read: film strips, learning curves, confusion matrices."""
