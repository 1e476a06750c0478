// What this library is made of, and which of its sisters this processor can run.
//
// The plainest library of a machine is loaded first and asked. A vector instruction needs both the processor, which
// cpuid tells, and an operating system that saves the wide registers, which xgetbv tells.
#include "common.h"

// The digest of the sources, which the build defines.
EXPORT const char *library_sources(void) { return MINIGAN_SOURCES; }

EXPORT const char *library_compiler(void) {
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

#ifdef __x86_64__
#include <cpuid.h>

#define BIT(n) (1u << (n))

// Leaf 1 of cpuid, register c.
#define SSE42_POPCNT (BIT(20) | BIT(23))
#define FMA_MOVBE_OSXSAVE_AVX_F16C (BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29))
// Leaf 7, register b.
#define BMI1_AVX2_BMI2 (BIT(3) | BIT(5) | BIT(8))
#define AVX512_F_DQ_CD_BW_VL (BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31))
// Leaf 0x80000001, register c.
#define LZCNT BIT(5)
// What the system saves: registers of 256 bits; of 512, 32 of them, and masks.
#define AVX_STATE (BIT(1) | BIT(2))
#define AVX512_STATE (AVX_STATE | BIT(5) | BIT(6) | BIT(7))

static int all_of(unsigned wanted, unsigned found) { return (found & wanted) == wanted; }

static unsigned saved_by_the_system(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// 4, 3, 2: the level of x86-64 that this processor and its system run; 1 if it is none of these.
EXPORT int64_t cpu_level(void) {
    unsigned a, b, c, d, leaf1 = 0, leaf7 = 0, extended = 0;
    if (__get_cpuid(1, &a, &b, &c, &d)) leaf1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) leaf7 = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) extended = c;
    if (!all_of(SSE42_POPCNT, leaf1)) return 1;
    if (!all_of(FMA_MOVBE_OSXSAVE_AVX_F16C, leaf1)) return 2;
    if (!all_of(BMI1_AVX2_BMI2, leaf7) || !all_of(LZCNT, extended)) return 2;
    unsigned saved = saved_by_the_system();
    if (!all_of(AVX_STATE, saved)) return 2;
    return all_of(AVX512_F_DQ_CD_BW_VL, leaf7) && all_of(AVX512_STATE, saved) ? 4 : 3;
}

#else

// 1, as all processors of this kind can do the same.
EXPORT int64_t cpu_level(void) { return 1; }

#endif
