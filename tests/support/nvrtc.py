"""Compiles CUDA C for a device that need not be there, with the compiler of the wheel nvidia-cuda-nvrtc."""

import ctypes
import functools
import importlib.metadata
import re
import struct
from typing import NamedTuple


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


# --- what is in machine code: an ELF file whose notes are NVIDIA's ------------------------------------------------


class Resources(NamedTuple):
    """What a kernel takes: registers of a thread, bytes of shared memory of a block, threads that it may be."""

    registers: int
    shared: int
    threads: int | None


_REGISTERS, _THREADS = 0x2F, 0x05  # numbers of notes: of a symbol and what it takes; of the largest block
_WITH_SIZE = 4  # the form of a note that has contents


def resources(cubin):
    """The Resources of each kernel in machine code, by its name."""
    sections = dict(_sections(cubin))
    symbols, names = sections[".symtab"], sections[".strtab"]
    found = {}
    for number, contents in _notes(sections[".nv.info"]):
        if number == _REGISTERS:
            symbol, registers = struct.unpack("<II", contents)
            (at,) = struct.unpack_from("<I", symbols, 24 * symbol)
            kernel = names[at : names.index(b"\0", at)].decode()
            notes = dict(_notes(sections.get(f".nv.info.{kernel}", b"")))
            threads = struct.unpack("<3I", notes[_THREADS])[0] if _THREADS in notes else None
            found[kernel] = Resources(registers, len(sections.get(f".nv.shared.{kernel}", b"")), threads)
    return found


def _sections(elf):
    """(name, contents) of each section; zeros for memory that a file need not hold."""
    (table,) = struct.unpack_from("<Q", elf, 40)
    size, count, of_names = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + k * size) for k in range(count)]
    for name, kind, _, _, start, length in headers:
        at = headers[of_names][4] + name
        empty = kind == 8  # SHT_NOBITS
        yield elf[at : elf.index(b"\0", at)].decode(), bytes(length) if empty else elf[start : start + length]


def _notes(section):
    """(number, contents) of each note that has contents."""
    at = 0
    while at < len(section):
        form, number, size = struct.unpack_from("<BBH", section, at)
        at += 4
        if form == _WITH_SIZE:
            yield number, section[at : at + size]
            at += size
