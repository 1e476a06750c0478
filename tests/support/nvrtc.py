"""Compiles CUDA C for a device that need not be there, with the compiler of the wheel nvidia-cuda-nvrtc."""

import ctypes
import functools
import importlib.metadata
import re


@functools.cache
def _library():
    """(the compiler, None), or (None, the reason why there is none)."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvrtc") or []
    except importlib.metadata.PackageNotFoundError:
        return None, "nvidia-cuda-nvrtc is not installed"
    paths = {}
    for file in files:
        found = re.fullmatch(r"libnvrtc(-builtins)?\.so\.[\d.]+", file.name)
        if found:
            paths[found[1]] = str(file.locate())
    if set(paths) != {None, "-builtins"}:
        return None, "nvidia-cuda-nvrtc has no libraries for this platform"
    try:
        ctypes.CDLL(paths["-builtins"], mode=ctypes.RTLD_GLOBAL)  # where the compiler looks for it by name
        return ctypes.CDLL(paths[None]), None
    except OSError as error:
        return None, str(error)


def available():
    """None, or the reason why nothing can be compiled."""
    return _library()[1]


def compile_cubin(code, options, arch):
    """The machine code of a CUDA source for `arch` ("sm_90"); RuntimeError with the compiler's log."""
    return _compile(code, options, arch, "CUBIN")


def compile_ptx(code, options, arch):
    """The same in PTX, for `arch` ("compute_90")."""
    return _compile(code, options, arch, "PTX")


def _compile(code, options, arch, wanted):
    lib, reason = _library()
    if lib is None:
        raise RuntimeError(reason)
    lib.nvrtcGetErrorString.restype = ctypes.c_char_p
    program = ctypes.c_void_p()

    def check(status):
        if status:
            raise RuntimeError(f"NVRTC: {lib.nvrtcGetErrorString(status).decode()}\n{log()}")

    def text(of):
        size = ctypes.c_size_t()
        check(getattr(lib, f"nvrtcGet{of}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        check(getattr(lib, f"nvrtcGet{of}")(program, buffer))
        return buffer.raw

    def log():
        return text("ProgramLog").rstrip(b"\0").decode() if program else ""

    check(lib.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernels.cu", 0, None, None))
    try:
        arguments = [option.encode() for option in (f"--gpu-architecture={arch}", *options)]
        check(lib.nvrtcCompileProgram(program, len(arguments), (ctypes.c_char_p * len(arguments))(*arguments)))
        return text(wanted)
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))
