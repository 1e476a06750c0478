// Threads that share the work of a kernel, and memory for what lies between its input and its result (threads.c).
#ifndef THREADS_H
#define THREADS_H

#include <stddef.h>
#include <stdint.h>

// One part of a job: 0 <= part < parts. `scratch` is whoever's works, uninitialised, aligned to 64 bytes.
typedef void part_fn(void *job, int64_t part, int64_t parts, float *scratch);

// Calls work(job, part, parts, scratch) once for each part, in any order and in several threads, and returns when all
// is done. Whoever works has `floats` floats of scratch. Returns 0, or 1 if there was no memory: then nothing has run.
//
// Who does a part must not matter to the result: what is added up over parts is added afterwards in their order, and
// how many there are is a function of sizes and of threads() alone.
int share(part_fn *work, void *job, int64_t parts, size_t floats);

// How many threads share work: at least 1.
int64_t threads(void);

// `floats` floats that all parts of a job may use, uninitialised, aligned to 64 bytes; NULL if there is no memory.
float *borrow(size_t floats);

// What `borrow` returned, NULL too: kept for who borrows next.
void give_back(float *floats);

#endif
