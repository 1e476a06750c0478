"""Runs CUDA C on the CPU: what `cupy.RawModule` offers, on NumPy arrays and with a C++ compiler.

Blocks run one after another, the threads of a block as fibers that stop at barriers and shuffles. The order of both
can be chosen, shared memory begins as NaN, and what CUDA leaves undefined (a barrier that some threads never reach,
a lane that no one speaks for) is an error or a NaN here, and so is a block that counts itself among others without
fences. Arguments must have exactly the kernel's types.

    block_sum = shim.Module(source, ("-DREAL=float",)).get_function("block_sum")
    block_sum((blocks,), (threads,), (x, out, np.int64(n)), order="backward")
"""

import atexit
import ctypes
import functools
import hashlib
import operator
import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from itertools import accumulate
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
FLAGS = ("-std=c++17", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-fvisibility=hidden")
PLAIN = ("-O2",)
SANITIZED = (
    "-O1",
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fsanitize-sections=cuda_shared",
)
IGNORED_OPTIONS = re.compile(
    r"--?(std|gpu-architecture|arch|ftz|fmad|prec-div|prec-sqrt|use_fast_math|maxrregcount|lineinfo"
    r"|generate-line-info|device-as-default-execution-space|default-device|extra-device-vectorization)(=.*)?"
)
MAX_THREADS = 1024
MAX_BLOCK = (1024, 1024, 64)
MAX_SHARED = 227 << 10  # bytes that a launch can ask for, on the largest GPUs
MAX_GRID = (2**31 - 1, 65535, 65535)

# --- reading the source -----------------------------------------------------------------------------------------

_PARENTHESES = r"\((?:[^()]|\([^()]*\))*\)"
_KERNEL = re.compile(
    rf'extern\s*"C"\s*(?P<head>(?:(?:__global__|void|static|inline)\s+|__launch_bounds__\s*{_PARENTHESES}\s*)+)'
    r"(?P<name>\w+)\s*\("
)
_BOUNDS = re.compile(rf"__launch_bounds__\s*(?P<bounds>{_PARENTHESES})")
_WAITS = re.compile(r"\b(__syncthreads|__syncwarp|__shfl\w*|__shared__|__pipeline_\w+)\b")
_BARRIER = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r"|(?P<barrier>(?:(?:__syncthreads|__threadfence)\s*\(\s*\)|__pipeline_wait_prior\s*\(\w+\))\s*;)",
    re.DOTALL,
)
_DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?(\w+)\s+(\w+)\s*\[\s*\]\s*;")
_KEYWORDS = """
    alignas auto bool case char class const constexpr do double else enum extern false float for goto if inline int long
    namespace operator return short signed sizeof static struct switch template this true typedef typename union
    unsigned using void while __attribute__ __device__ __forceinline__ __global__ __host__ __align__ __launch_bounds__
    __constant__ __restrict__
"""


def barriers(code):
    """How many barriers, fences and waits for copies the source has, outside comments."""
    return len(_positions(code))


def without_barrier(code, k):
    """The source with its k-th barrier or fence removed."""
    start, end = _positions(code)[k]
    return f"{code[:start]};{code[end:]}"


def _positions(code):
    return [found.span("barrier") for found in _BARRIER.finditer(code) if found["barrier"]]


def _declarations(text):
    """(names, text) of everything that is declared outside functions and classes; preprocessed text."""
    start = depth = opened = 0
    for i, character in enumerate(text):
        if character == "{":
            opened = i if depth == 0 else opened
            depth += 1
        elif character == "}":
            depth -= 1
        if depth or character not in "};":
            continue
        whole = text[start : i + 1]
        header = text[start:opened] if character == "}" else whole
        start = i + 1
        plain = re.sub(r"\b(__launch_bounds__|__align__|__attribute__|alignas)\s*" + _PARENTHESES, " ", header)
        if character == "}" and re.search(r'(\bnamespace\b[^(]*|extern\s*"C")\s*$', plain):
            yield from _declarations(text[opened + 1 : i])
            continue
        kind = re.search(r"\b(?:struct|class|union|enum)\s+(\w+)[^()]*$", re.sub(r"\btemplate\s*<[^>]*>", " ", plain))
        if character == "}" and kind:
            yield {kind[1]}, whole
        elif character == "}" and "(" in plain and "operator" not in plain:
            yield {plain.split("(")[0].split()[-1]}, whole
        else:
            yield set(re.findall(r"[A-Za-z_]\w*", plain)).difference(_KEYWORDS.split()), whole


def _waiting(text):
    """The names of what may wait for other threads; too many rather than too few."""
    rest = list(_declarations(text))
    names = set()
    while True:
        found = [d for d in rest if _WAITS.search(d[1]) or not names.isdisjoint(re.findall(r"\w+", d[1]))]
        if not found:
            return names
        rest = [d for d in rest if d not in found]
        names = names.union(*(declared for declared, _ in found))


# --- compiling --------------------------------------------------------------------------------------------------


def compiler():
    """The path of g++, or None where kernels cannot be compiled for the CPU."""
    return shutil.which("g++") if sys.platform == "linux" else None


def _definitions(options):
    """The options that matter to g++; ValueError for one that NVRTC would not know either."""
    for option in options:
        if not re.fullmatch(r"-D\w+(=.*)?", option) and not IGNORED_OPTIONS.fullmatch(option):
            raise ValueError(f"unknown option {option!r}")
    return tuple(option for option in options if option.startswith("-D"))


@functools.cache
def _folder():
    folder = tempfile.mkdtemp(prefix="shim")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _run(*arguments, text=None):
    if compiler() is None:
        raise RuntimeError("g++ was not found")
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    done = subprocess.run([compiler(), *arguments], input=text, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the kernels do not compile:\n{done.stderr}")
    return done.stdout


@functools.cache
def _runtime(sanitize):
    path = _folder() / f"runtime{sanitize:d}.o"
    flags = [flag for flag in FLAGS if flag != "-shared"]
    _run(*flags, *(SANITIZED if sanitize else PLAIN), "-c", str(FOLDER / "runtime.cpp"), "-o", str(path))
    return path


class _Parameter(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_char),
        ("pointer", ctypes.c_bool),
        ("constant", ctypes.c_bool),
        ("size", ctypes.c_int),
        ("alignment", ctypes.c_int),
    )


class _Kernel(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("parameters", ctypes.POINTER(_Parameter)),
        ("count", ctypes.c_int),
        ("max_threads", ctypes.c_int),
    )


@functools.cache
def _build(code, definitions, sanitize):
    """The compiled library, its kernels by name, and which of them need fibers."""
    if sanitize and "libasan" not in os.environ.get("LD_PRELOAD", ""):
        raise RuntimeError("sanitize=True works only in a script that run_sanitized started")
    text = _run("-std=c++17", "-E", "-P", *definitions, "-x", "c++", "-", text=code)
    heads = {found["name"]: found["head"] for found in _KERNEL.finditer(text) if "__global__" in found["head"]}
    if not heads:
        raise ValueError('the source has no extern "C" __global__ function')
    entries = []
    for name, head in heads.items():
        bounds = _BOUNDS.search(head)
        limit = f"shim::first{bounds['bounds']}" if bounds else str(MAX_THREADS)
        entries.append(f'    shim::kernel<&{name}>("{name}", {limit}),\n')
    # Inside a namespace without a name nothing can be merged with other modules, and a template's shared memory can
    # lie in the same section as everyone's.
    code = _DYNAMIC.sub(r"\1* const \2 = static_cast<\1*>(shim::dynamic_shared());", code)
    wrapped = (
        f'#include "{FOLDER / "cuda.h"}"\nnamespace {{\n#line 1 "kernels.cu"\n{code}\n}}\n#line 1 "entries"\n'
        'extern "C" __attribute__((visibility("default"))) const shim::Kernel shim_kernels[] = {\n'
        f"{''.join(entries)}}};\n"
    )
    key = hashlib.sha256(repr((code, definitions, sanitize)).encode()).hexdigest()[:16]
    path = _folder() / f"{key}.so"
    flags = (*FLAGS, *(SANITIZED if sanitize else PLAIN), *definitions)
    _run(*flags, "-x", "c++", "-", "-x", "none", str(_runtime(sanitize)), "-o", str(path), text=wrapped)
    library = ctypes.PyDLL(str(path))  # keeps the GIL: the runtime holds one launch at a time
    library.shim_error.restype = ctypes.c_char_p
    waiting = _waiting(text)
    kernels = {k.name.decode(): k for k in (_Kernel * len(heads)).in_dll(library, "shim_kernels")}
    return library, kernels, waiting


# --- launching --------------------------------------------------------------------------------------------------


class Module:
    """The kernels of a CUDA source, as `cupy.RawModule`."""

    def __init__(self, code, options=(), sanitize=False):
        self._library, self._kernels, self._waiting = _build(code, _definitions(tuple(options)), bool(sanitize))

    def get_function(self, name):
        if name not in self._kernels:
            raise ValueError(f"no kernel {name!r}; there are {', '.join(sorted(self._kernels))}")
        return Function(self._library, name, self._kernels[name], name in self._waiting)


class Function:
    """A kernel, called as function(grid, block, args, order, shared_mem).

    `order` is the order of threads and blocks: "forward", "backward", or the seed of a random one. `shared_mem` is
    how many bytes its `extern __shared__` array has.
    """

    def __init__(self, library, name, kernel, fibers):
        self.name = name
        self.fibers = fibers
        self._library = library
        self._kernel = kernel
        self._slots = [_Slot(f"{name}: argument {k}", kernel.parameters[k]) for k in range(kernel.count)]

    def __call__(self, grid, block, args, order="forward", shared_mem=0):
        if not 0 <= shared_mem <= MAX_SHARED:
            raise ValueError(f"{self.name}: {shared_mem} bytes of shared memory, not 0 to {MAX_SHARED}")
        grid, block = self._size("grid", grid, MAX_GRID), self._size("block", block, MAX_BLOCK)
        limit = min(self._kernel.max_threads, MAX_THREADS)
        if block[0] * block[1] * block[2] > limit:
            raise ValueError(f"{self.name}: a block of {block} has more than {limit} threads")
        if len(args) != len(self._slots):
            raise TypeError(f"{self.name}: takes {len(self._slots)} arguments, not {len(args)}")
        values = [s.address(a) if s.pointer else s.value(a) for s, a in zip(self._slots, args, strict=True)]
        starts = [0, *accumulate(-(-len(value) // 16) * 16 for value in values)]  # no type is aligned to more
        memory = ctypes.create_string_buffer(starts[-1] + 16)
        first = -(-ctypes.addressof(memory) // 16) * 16
        for start, value in zip(starts, values, strict=False):
            ctypes.memmove(first + start, value, len(value))
        pointers = (ctypes.c_void_p * len(starts))(*(first + start for start in starts))
        failed = self._library.shim_launch(
            ctypes.c_void_p(self._kernel.call),
            pointers,
            (ctypes.c_uint * 3)(*grid),
            (ctypes.c_uint * 3)(*block),
            ctypes.c_size_t(shared_mem),
            int(self.fibers),
            *_order(order),
        )
        if failed:
            raise RuntimeError(f"{self.name}: {self._library.shim_error().decode()}")

    def _size(self, what, size, limits):
        if not isinstance(size, tuple) or not 1 <= len(size) <= 3:
            raise TypeError(f"{self.name}: {what} must be a tuple of one to three integers, not {size!r}")
        size = (*map(operator.index, size), 1, 1)[:3]
        if not all(1 <= n <= limit for n, limit in zip(size, limits, strict=True)):
            raise ValueError(f"{self.name}: {what} {size} is not between 1 and {limits}")
        return size


class _Slot:
    """A parameter of a kernel: what may be passed for it, and as which bytes."""

    def __init__(self, where, parameter):
        self.where = where
        self.pointer, self.constant = parameter.pointer, parameter.constant
        self.size, self.alignment = parameter.size, parameter.alignment
        kind = parameter.kind.decode()
        self.struct, self.void = kind == "V", kind == "*"
        self.dtype = None if self.struct or self.void else np.dtype("?" if kind == "b" else f"{kind}{self.size}")
        self.wanted = f"struct of {self.size} bytes" if self.struct else "void" if self.void else str(self.dtype)

    def _fits(self, dtype):
        if self.struct:
            return dtype.kind == "V" and dtype.itemsize == self.size
        return self.void or dtype == self.dtype

    def value(self, value):
        """The bytes of an argument passed by value."""
        passed = isinstance(value, np.generic) or (self.struct and isinstance(value, np.ndarray) and value.shape == ())
        if not passed or not self._fits(value.dtype):
            raise TypeError(f"{self.where} must be a {self.wanted}, not {_what(value)}")
        return value.tobytes()

    def address(self, value):
        """The bytes of a pointer to an array."""
        if value is None:
            return bytes(8)
        if isinstance(value, np.uint64):
            address = int(value)
        elif not isinstance(value, np.ndarray) or not self._fits(value.dtype):
            raise TypeError(f"{self.where} must be an array of {self.wanted}, not {_what(value)}")
        elif not _is_dense(value):
            raise ValueError(f"{self.where} does not fill one block of memory: strides {value.strides}")
        elif not self.constant and not value.flags.writeable:
            raise ValueError(f"{self.where} is read-only, but the kernel may write to it")
        else:
            address = value.__array_interface__["data"][0]
        if address % self.alignment:
            raise ValueError(f"{self.where} must be aligned to {self.alignment} bytes")
        return address.to_bytes(8, sys.byteorder)


def _what(value):
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return type(value).__name__


def _is_dense(x):
    """True if the elements of x fill one block of memory, whatever the order of its axes."""
    expected = x.itemsize
    for stride, n in sorted((stride, n) for stride, n in zip(x.strides, x.shape, strict=True) if n > 1):
        if stride != expected:
            return x.size == 0
        expected *= n
    return True


def _order(order):
    if isinstance(order, str) and order in ("forward", "backward"):
        return int(order == "backward"), 0
    if isinstance(order, int) and not isinstance(order, bool) and 0 <= order < 2**32:
        return 2, ctypes.c_uint(order)
    raise ValueError(f"order must be 'forward', 'backward' or a seed, not {order!r}")


# --- sanitizers -------------------------------------------------------------------------------------------------


def guarded(array):
    """A copy in a block of memory of its own, which ends where the array does.

    Small NumPy arrays share their memory with earlier ones, behind the sanitizer's back.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    if not _is_dense(array):
        array = np.ascontiguousarray(array)
    address = libc.malloc(array.nbytes)
    memory = (ctypes.c_char * array.nbytes).from_address(address)
    weakref.finalize(memory, libc.free, address).atexit = False
    copy = np.ndarray(array.shape, array.dtype, memory, strides=array.strides)
    copy[...] = array
    return copy


def run_sanitized(script):
    """Run a Python script in which Modules may be built with sanitize=True; its CompletedProcess, with text.

    An access out of bounds ends it with a nonzero return code and a report, with the kernel's line, in stderr.
    """
    libraries = [_run(f"-print-file-name={name}").strip() for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    paths = [str(FOLDER.parent), str(FOLDER.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        # Python does not free everything at its end, and fibers keep no frames for later
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    with tempfile.TemporaryDirectory() as folder:  # a script that is ended by a report cleans up nothing
        environment["TMPDIR"] = folder
        return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
