/* What this library is made of, and which of its sisters this processor can run.
 *
 * The plainest library of a machine is loaded first and asked. A vector instruction needs both the processor, which
 * cpuid tells, and an operating system that saves the wide registers, which xgetbv tells.
 */
#include "export.h"

EXPORT const char *library_sources(void) { return MINIGAN_SOURCES; }

EXPORT const char *library_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

#if defined(__x86_64__)

#include <cpuid.h>

enum {
    SSE42_AND_POPCNT = 1u << 20 | 1u << 23, /* of ecx of leaf 1 */
    FMA_MOVBE_OSXSAVE_AVX_F16C = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29,
    BMI1_AVX2_BMI2 = 1u << 3 | 1u << 5 | 1u << 8, /* of ebx of leaf 7 */
    LZCNT = 1u << 5, /* of ecx of leaf 0x80000001 */
    AVX_STATE = 0x06, /* of xcr0: the low 128 and the high 128 bits of 16 registers */
    AVX512_STATE = 0xe6, /* and masks, the upper 256 bits, 16 more registers */
};

static const unsigned AVX512_F_DQ_CD_BW_VL = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* of ebx of leaf 7 */

static int has(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* 4, 3, 2: the level of x86-64 that this processor and system run; 1 if none of these. */
EXPORT int64_t cpu_level(void)
{
    unsigned a, b, c, d, b7 = 0, c_extended = 0, leaf1;
    if (!__get_cpuid(1, &a, &b, &leaf1, &d) || !has(leaf1, SSE42_AND_POPCNT))
        return 1;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        b7 = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        c_extended = c;
    if (!has(leaf1, FMA_MOVBE_OSXSAVE_AVX_F16C) || !has(b7, BMI1_AVX2_BMI2) || !has(c_extended, LZCNT))
        return 2;
    unsigned state = saved_state();
    if (!has(state, AVX_STATE))
        return 2;
    return has(b7, AVX512_F_DQ_CD_BW_VL) && has(state, AVX512_STATE) ? 4 : 3;
}

#else

/* 1: there is one level. */
EXPORT int64_t cpu_level(void) { return 1; }

#endif
