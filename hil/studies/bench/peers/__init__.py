"""`hil bench peers`: kernels of others, from the user's checkouts, beside ours, emulated.

Nothing of theirs is in this package: C of ours (`c/`) calls their public functions.
"""
