"""Error texts of djb's programs, which are not strerror(3)'s, and which errors a retry may cure.

Source: the last part of ucspi-tcp's, daemontools' and qmail's messages.  An errno missing here is "unknown error"."""

from __future__ import annotations

import errno

_TEXTS = {
    0: "no error",
    errno.EINTR: "interrupted system call",
    errno.ENOMEM: "out of memory",
    errno.ENOENT: "file does not exist",
    errno.ETXTBSY: "text busy",
    errno.EIO: "input/output error",
    errno.EEXIST: "file already exists",
    errno.ETIMEDOUT: "timed out",
    errno.EINPROGRESS: "operation in progress",
    errno.EAGAIN: "temporary failure",
    errno.EPIPE: "broken pipe",
    errno.EPERM: "permission denied",
    errno.EACCES: "access denied",
    errno.ENXIO: "device not configured",
    errno.EPROTO: "protocol error",
    errno.EISDIR: "is a directory",
    errno.ESRCH: "no such process",
    errno.E2BIG: "argument list too long",
    errno.ENOEXEC: "exec format error",
    errno.EBADF: "file descriptor not open",
    errno.ECHILD: "no child processes",
    errno.EDEADLK: "operation would cause deadlock",
    errno.EFAULT: "bad address",
    errno.ENOTBLK: "not a block device",
    errno.EBUSY: "device busy",
    errno.EXDEV: "cross-device link",
    errno.ENODEV: "device does not support operation",
    errno.ENOTDIR: "not a directory",
    errno.EINVAL: "invalid argument",
    errno.ENFILE: "system cannot open more files",
    errno.EMFILE: "process cannot open more files",
    errno.ENOTTY: "not a tty",
    errno.EFBIG: "file too big",
    errno.ENOSPC: "out of disk space",
    errno.ESPIPE: "unseekable descriptor",
    errno.EROFS: "read-only file system",
    errno.EMLINK: "too many links",
    errno.EDOM: "input out of range",
    errno.ERANGE: "output out of range",
    errno.EALREADY: "operation already in progress",
    errno.ENOTSOCK: "not a socket",
    errno.EDESTADDRREQ: "destination address required",
    errno.EMSGSIZE: "message too long",
    errno.EPROTOTYPE: "incorrect protocol type",
    errno.ENOPROTOOPT: "protocol not available",
    errno.EPROTONOSUPPORT: "protocol not supported",
    errno.ESOCKTNOSUPPORT: "socket type not supported",
    errno.EOPNOTSUPP: "operation not supported",
    errno.EPFNOSUPPORT: "protocol family not supported",
    errno.EAFNOSUPPORT: "address family not supported",
    errno.EADDRINUSE: "address already used",
    errno.EADDRNOTAVAIL: "address not available",
    errno.ENETDOWN: "network down",
    errno.ENETUNREACH: "network unreachable",
    errno.ENETRESET: "network reset",
    errno.ECONNABORTED: "connection aborted",
    errno.ECONNRESET: "connection reset",
    errno.ENOBUFS: "out of buffer space",
    errno.EISCONN: "already connected",
    errno.ENOTCONN: "not connected",
    errno.ESHUTDOWN: "socket shut down",
    errno.ETOOMANYREFS: "too many references",
    errno.ECONNREFUSED: "connection refused",
    errno.ELOOP: "symbolic link loop",
    errno.ENAMETOOLONG: "file name too long",
    errno.EHOSTDOWN: "host down",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENOTEMPTY: "directory not empty",
    errno.EUSERS: "too many users",
    errno.EDQUOT: "disk quota exceeded",
    errno.ESTALE: "stale NFS file handle",
    errno.EREMOTE: "too many levels of remote in path",
    errno.ENOLCK: "no locks available",
    errno.ENOSYS: "system call not available",
    errno.ENOSTR: "not a stream device",
    errno.ETIME: "timer expired",
    errno.ENOSR: "out of stream resources",
    errno.ENOMSG: "no message of desired type",
    errno.EBADMSG: "bad message type",
    errno.EIDRM: "identifier removed",
    errno.ENONET: "machine not on network",
    errno.ENOLINK: "link severed",
    errno.ECOMM: "communication error",
    errno.EMULTIHOP: "multihop attempted",
}

# qmail's list.  EACCES, ENOENT and the like are absent: the file will not change by waiting.
_TEMPORARY = frozenset(
    (
        errno.EINTR, errno.ENOMEM, errno.ETXTBSY, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EDEADLK,
        errno.EBUSY, errno.ENFILE, errno.EMFILE, errno.EFBIG, errno.ENOSPC, errno.ENETDOWN, errno.ENETUNREACH,
        errno.ENETRESET, errno.ECONNABORTED, errno.ECONNRESET, errno.ENOBUFS, errno.ETOOMANYREFS,
        errno.ECONNREFUSED, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EUSERS, errno.EDQUOT, errno.ESTALE,
        errno.ENOLCK,
    )
)  # fmt: skip


def _number(error: OSError | int) -> int:
    if isinstance(error, int):
        return error
    if error.errno is None and isinstance(error, TimeoutError):
        return errno.ETIMEDOUT
    return error.errno or 0


def text(error: OSError | int) -> str:
    """The text for an errno, or for the errno of an exception: `file does not exist`."""
    return _TEXTS.get(_number(error), "unknown error")


def is_temporary(error: OSError | int) -> bool:
    """True if qmail takes this errno for one that a later try may not meet."""
    return _number(error) in _TEMPORARY
