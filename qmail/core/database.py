"""Constant databases that administrators' programs write and daemons read: users/cdb, forwarding tables.  cdb(5).

Not mapped when read: a file cut short under us must be an error, not a SIGBUS that ends the whole process."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Database:
    """One that is open on a descriptor, which stays the caller's."""

    __slots__ = ("_cdb",)

    def __init__(self, fd: int) -> None:
        """Raises OSError: EIO if this is no database."""
        import cdbx  # loads its own C code: only for who needs it

        try:
            self._cdb = cdbx.CDB(fd, mmap=False)
        except (KeyError, MemoryError, OverflowError, OSError) as e:
            raise _damaged(e) from e

    def get(self, key: bytes) -> bytes | None:
        """The first data under `key`, None if there is no such key.  Raises OSError."""
        try:
            found: bytes | None = self._cdb.get(key)
        except (KeyError, MemoryError, OverflowError, OSError) as e:
            raise _damaged(e) from e
        return found


def write(fd: int, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Write a database with `records`, in their order, to the empty file `fd`.  Raises OSError."""
    import cdbx

    try:
        maker = cdbx.CDB.make(fd)
        for key, data in records:
            maker.add(key, data)
        maker.commit().close()
    except OverflowError as e:  # the format ends at 4 GB
        raise OSError(errno.EFBIG, str(e)) from e


def _damaged(error: Exception) -> OSError:
    if isinstance(error, OSError) and error.errno:  # cdbx has one without for a file that is cut short
        return error
    return OSError(errno.EIO, f"damaged: {error}")
