"""Memory that a loop over batches frees stays with the process.

glibc gives every large block back to the system as soon as it is freed, and the next batch faults
it in again, page by page: up to half of the CPU time of such a loop.
"""

import ctypes
import platform

# Of a process that is to be started and keeps what it frees, whatever program it is.
ENVIRONMENT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}

# Numbers of <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed: the process grows to its peak and stays there.

    For a process that is ours from its first moment (a job, a worker, a benchmark), not for a
    program that only imports us. The same as having started with `ENVIRONMENT`.

    Returns:
        Whether it was done; False where the C library is another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, -1))
