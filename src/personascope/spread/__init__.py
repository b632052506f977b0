"""Work in blocks, done here or by many workers: what is done stays what the stages do.

A job is some JSON that names a block; doing it leaves a file, so that a rerun finds what is done. `ray_pool` alone
knows Ray.
"""
