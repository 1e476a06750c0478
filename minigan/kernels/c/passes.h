// Passes over memory: how arrays are cut into parts for the threads, and a value for each column of a matrix.
//
// Such a pass does less arithmetic than reading and writing, so that all that counts is that it is one: each array is
// read once, written once, in order. The inner loops are plain ones, which the compiler turns into vectors.
#ifndef PASSES_H
#define PASSES_H

#include "common.h"

#define UNUSED __attribute__((unused))

#define WORTH_SHARING 65536  // elements below which waking a thread costs more than it takes over
#define PARTS_PER_THREAD 4   // so that a thread that is held up delays no more than its last part
#define LINE 16              // floats: parts begin where a cache line of an aligned array does

// In how many parts a pass over so many elements is shared.
INLINE int64_t parts_of(int64_t elements) {
    if (threads() == 1 || elements < WORTH_SHARING) return 1;
    return smaller(threads() * PARTS_PER_THREAD, elements / (WORTH_SHARING / 2));
}

// What lies from `from` to before `to`.
struct span {
    int64_t from, to;
};

// The part-th of n things that are cut into parts of equal size.
INLINE struct span span_of(int64_t n, int64_t part, int64_t parts) {
    return (struct span){n / parts * part + smaller(part, n % parts),
                         n / parts * (part + 1) + smaller(part + 1, n % parts)};
}

// The same of n elements, of which parts have a multiple of `unit`, except the last one.
INLINE struct span span_of_units(int64_t n, int64_t unit, int64_t part, int64_t parts) {
    struct span s = span_of(ceil_div(n, unit), part, parts);
    return (struct span){s.from * unit, smaller(s.to * unit, n)};
}

// --- a row of few columns is too short for a loop over vectors: several rows are taken as one wide one ----------

#define WIDE 64  // elements that a row should have

// How many rows of a matrix are taken as one.
INLINE int64_t fold_of(int64_t columns) { return columns < WIDE ? ceil_div(WIDE, columns) : 1; }

// A value for each column, written for each column of a wide row. Returns what follows in memory.
INLINE float *repeated(const float *values, int64_t columns, float *wide) {
    for (int64_t times = fold_of(columns); times > 0; times--, wide += columns)
        for (int64_t c = 0; c < columns; c++) wide[c] = values[c];
    return wide;
}

#endif
