"""That a request is cut off while it is read: whoever limits requests answers it, nobody else.

In: nothing.  Out: an exception that comes out of reading a body, and that every handler lets pass.
"""


class CutOff(Exception):
    """More came than is accepted, or nothing came for too long."""
