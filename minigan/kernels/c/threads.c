// The pool: threads that wait for work, spinning for a moment and then asleep.
//
// One job runs at a time. Whoever calls `share` works too, and so do the helpers that come in time: a job is open to
// them until the caller finds no part left, and the caller waits for those that came, not for those that did not.
// A machine that is busy with something else is thus waited for no longer than a part takes. If another thread's job
// is running, the caller does all its parts alone.
#include "common.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "system.h"

#define SPIN 20000  // nanoseconds of waiting until a thread goes to sleep: about what waking one costs

// The state of the pool in one number: how many jobs there were, is the last one open, how many helpers are at it.
#define HELPER UINT64_C(1)
#define OPEN (UINT64_C(1) << 16)
#define JOB (UINT64_C(1) << 17)
#define HELPERS(state) ((state) & (OPEN - 1))
#define MOST_THREADS 1024

struct job {
    part_fn *work;
    void *argument;
    int64_t parts, workers;
    float *scratch;
    size_t stride;         // floats of scratch from one worker to the next
    atomic_int_fast64_t next;  // the part that is taken next
};

static atomic_int_fast64_t count = 1;  // of threads, as set by set_threads

static lock_t turn = UNLOCKED;  // held by the thread whose job runs
static struct job *job;         // read by helpers that are counted in `state`
static int64_t helpers;         // that have been started; used by who holds `turn`
static atomic_uint_fast64_t state;

static lock_t bed = UNLOCKED;  // for who sleeps on one of these
static condition_t new_job = NOBODY_WAITS, last_helper_left = NOBODY_WAITS;
static atomic_int sleepers, caller_sleeps;

int64_t threads(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

// Let n threads share work from the next call on.
EXPORT void set_threads(int64_t n) {
    atomic_store_explicit(&count, n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : n, memory_order_relaxed);
}

static void take_parts(struct job *j, float *scratch) {
    int64_t part;
    while ((part = atomic_fetch_add(&j->next, 1)) < j->parts) j->work(j->argument, part, j->parts, scratch);
}

// The state, once a job has begun that is not the `last` one.
static uint64_t await_job(uint64_t last) {
    int64_t until = nanoseconds() + SPIN;
    uint64_t now;
    do {
        for (int i = 0; i < 64; i++) {
            now = atomic_load(&state);
            if (now / JOB != last) return now;
            relax();
        }
    } while (nanoseconds() < until);
    lock(&bed);
    atomic_fetch_add(&sleepers, 1);
    while ((now = atomic_load(&state)) / JOB == last) wait_for(&new_job, &bed);
    atomic_fetch_sub(&sleepers, 1);
    unlock(&bed);
    return now;
}

static void help(uint64_t now, int64_t me) {
    uint64_t this_job = now / JOB;
    while (now & OPEN && now / JOB == this_job) {
        if (!atomic_compare_exchange_weak(&state, &now, now + HELPER)) continue;
        if (me < job->workers) take_parts(job, job->scratch + me * job->stride);
        now = atomic_fetch_sub(&state, HELPER) - HELPER;
        if (HELPERS(now) == 0 && !(now & OPEN) && atomic_load(&caller_sleeps)) {
            lock(&bed);
            wake_all(&last_helper_left);
            unlock(&bed);
        }
        return;
    }
}

static thread_result THREAD helper(void *number) {
    for (uint64_t last = 0;;) {
        uint64_t now = await_job(last);
        last = now / JOB;
        help(now, (int64_t)(intptr_t)number);
    }
    return 0;
}

static void await_helpers(void) {
    if (HELPERS(atomic_load(&state)) == 0) return;
    int64_t until = nanoseconds() + SPIN;
    do {
        for (int i = 0; i < 64; i++) {
            if (HELPERS(atomic_load(&state)) == 0) return;
            relax();
        }
    } while (nanoseconds() < until);
    lock(&bed);
    atomic_store(&caller_sleeps, 1);
    while (HELPERS(atomic_load(&state))) wait_for(&last_helper_left, &bed);
    atomic_store(&caller_sleeps, 0);
    unlock(&bed);
}

// All parts of j, by this thread, which holds `turn`, and its helpers.
static void run(struct job *j) {
    while (helpers + 1 < j->workers && start_thread(helper, (void *)(intptr_t)(helpers + 1))) helpers++;
    job = j;
    atomic_store(&state, (atomic_load(&state) / JOB + 1) * JOB + OPEN);
    if (atomic_load(&sleepers)) {
        lock(&bed);
        wake_all(&new_job);
        unlock(&bed);
    }
    take_parts(j, j->scratch);
    atomic_fetch_and(&state, ~OPEN);
    await_helpers();
}

int share(part_fn *work, void *argument, int64_t parts, size_t floats) {
    if (parts < 1) return 0;
    int64_t workers = smaller(threads(), parts);
    struct job j = {work, argument, parts, workers, NULL, round_up(floats, 16), 0};
    if (floats && !(j.scratch = borrow(workers * j.stride))) return 1;
    if (workers > 1 && try_lock(&turn)) {
        run(&j);
        unlock(&turn);
    } else {
        take_parts(&j, j.scratch);
    }
    give_back(j.scratch);
    return 0;
}

// --- memory: a few blocks are kept, since memory fresh from the system is cleared page by page when first touched ---

#define KEPT 8
#define LARGEST_KEPT (UINT64_C(1) << 24)  // floats
#define LINE 64                           // bytes of a cache line, and of the widest vector

// Lies just before the floats that are lent.
struct block {
    void *raw;
    size_t floats;
};

static lock_t shelf = UNLOCKED;
static struct block *kept[KEPT];  // some of them NULL

// The smallest block that is kept and has so many floats; else the largest that has fewer, to be let go; or NULL.
static struct block *taken(size_t floats) {
    struct block **best = NULL;
    for (struct block **b = kept; b < kept + KEPT; b++) {
        if (!*b) continue;
        if (!best) best = b;
        int fits = (*b)->floats >= floats, best_fits = (*best)->floats >= floats;
        if (fits != best_fits ? fits : ((*b)->floats < (*best)->floats) == fits) best = b;
    }
    if (!best) return NULL;
    struct block *found = *best;
    *best = NULL;
    return found;
}

float *borrow(size_t floats) {
    lock(&shelf);
    struct block *b = taken(floats);
    unlock(&shelf);
    if (b && b->floats < floats) {
        free(b->raw);
        b = NULL;
    }
    if (!b) {
        if (floats > (SIZE_MAX >> 3)) return NULL;
        char *raw = malloc(floats * sizeof(float) + 2 * LINE);
        if (!raw) return NULL;
        char *lent = raw + 2 * LINE - (uintptr_t)raw % LINE;
        b = (struct block *)(lent - sizeof(struct block));
        *b = (struct block){raw, floats};
    }
    return (float *)(b + 1);
}

void give_back(float *lent) {
    if (!lent) return;
    struct block *b = (struct block *)lent - 1;
    if (b->floats <= LARGEST_KEPT) {
        lock(&shelf);
        for (struct block **place = kept; place < kept + KEPT; place++)
            if (!*place) {
                *place = b;
                b = NULL;
                break;
            }
        unlock(&shelf);
    }
    if (b) free(b->raw);
}

// --- a child that is forked has no helpers, and locks that other threads held are free --------------------------

#ifndef _WIN32
static void before_fork(void) { lock(&shelf); }

static void after_fork(void) { unlock(&shelf); }

static void in_child(void) {
    lock_t unlocked = UNLOCKED;
    condition_t fresh = NOBODY_WAITS;
    turn = bed = shelf = unlocked;
    new_job = last_helper_left = fresh;
    helpers = 0;
    atomic_store(&state, 0);
    atomic_store(&sleepers, 0);
    atomic_store(&caller_sleeps, 0);
}

__attribute__((constructor)) static void follow_forks(void) { pthread_atfork(before_fork, after_fork, in_child); }
#endif
