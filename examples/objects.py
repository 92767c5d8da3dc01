"""Python on moat: PYTHONMALLOC=malloc makes every object a chunk of moat's; without it, those of more than 512 bytes and
what C code allocates are. Run: PYTHONMALLOC=malloc moat run -- python3 objects.py [overflow]"""
import ctypes
import sys

libc = ctypes.CDLL(None)
size_of = getattr(libc, "moat_object_size", None)
if size_of is None:
    sys.exit("not on moat: run it by `moat run`")
size_of.restype = ctypes.c_size_t
size_of.argtypes = [ctypes.c_void_p]

small = bytes(40)  # an object of Python's own allocator, unless PYTHONMALLOC says malloc
buffer = ctypes.create_string_buffer(1000)
print("small object on moat:", size_of(id(small)) == sys.getsizeof(small))
print("buffer on moat:", size_of(ctypes.addressof(buffer)) == 1000)
if sys.argv[1:] == ["overflow"]:
    ctypes.memset(ctypes.addressof(buffer), 1, 1001)  # a bug that only native code can have
    del buffer
