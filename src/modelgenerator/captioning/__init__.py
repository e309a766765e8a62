"""What a photo shows, in words: captions for pictures that came without one."""
