"""MLPerf Tiny images: their protocol spoken as the runner does, on the emulated chip or a port.

The images are their submitters': they are read from checkouts of the user's, and none is carried.
"""
