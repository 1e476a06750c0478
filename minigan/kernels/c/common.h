// What every source beside this file begins with: vectors of floats, what Python sees (export.h), and the threads (threads.h).
//
// A vector holds LANES floats, as many as a register of the processor that the library is built for. It is written
// as a type of the compiler's, so that + - * / and comparisons are those of C, on all its floats at once:
//     choose(x > splat(0), x, slope * x)  is  x > 0 ? x : slope * x  on each of them
// Exported functions return 0, or 1 if there was no memory; sizes are int64_t.
#ifndef COMMON_H
#define COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "export.h"
#include "threads.h"

#define INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE __attribute__((noinline))

// Before a loop of a number of rounds that the compiler knows: all of them are written out.
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4  // SSE and NEON
#endif

// Both may lie anywhere that a float or an int may.
typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * LANES), aligned(4), may_alias));  // -1 is true, 0 false

INLINE vec load(const float *p) { return *(const vec *)p; }

INLINE void store(float *p, vec x) { *(vec *)p = x; }

INLINE vec splat(float x) { return x - (vec){0}; }

// a where `where` is true, else b; bit for bit, so that a NaN that is not chosen leaves no trace.
INLINE vec choose(mask where, vec a, vec b) { return (vec)(((mask)a & where) | ((mask)b & ~where)); }

// Copies n floats, 0 <= n <= LANES, by halves: a few branches where memcpy of a size that is not known is a call.
INLINE void copy_part(float *to, const float *from, int64_t n) {
    for (int64_t some = LANES; some > 0; some /= 2)
        if (n & some) {
            memcpy(to, from, some * sizeof(float));
            to += some;
            from += some;
        }
}

// The first n floats at p, 0 <= n <= LANES, then zeros: reads nothing past them.
INLINE vec load_part(const float *p, int64_t n) {
    float x[LANES] = {0};
    copy_part(x, p, n);
    return load(x);
}

// The first n floats of x, 0 <= n <= LANES, to p.
INLINE void store_part(float *p, vec x, int64_t n) { copy_part(p, (const float *)&x, n); }

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// a / b rounded up, for a >= 0 and b > 0.
INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

#endif
