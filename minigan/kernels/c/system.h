// Locks, conditions, threads and a clock under one name each, for POSIX systems and for Windows.
#ifndef SYSTEM_H
#define SYSTEM_H

#include <stdint.h>

#ifdef _WIN32
#include <windows.h>

typedef SRWLOCK lock_t;
typedef CONDITION_VARIABLE condition_t;
#define UNLOCKED SRWLOCK_INIT
#define NOBODY_WAITS CONDITION_VARIABLE_INIT

static inline void lock(lock_t *l) { AcquireSRWLockExclusive(l); }
static inline int try_lock(lock_t *l) { return TryAcquireSRWLockExclusive(l); }
static inline void unlock(lock_t *l) { ReleaseSRWLockExclusive(l); }
static inline void wait_for(condition_t *c, lock_t *l) { SleepConditionVariableSRW(c, l, INFINITE, 0); }
static inline void wake_all(condition_t *c) { WakeAllConditionVariable(c); }

typedef DWORD thread_result;
#define THREAD WINAPI

// Starts body(argument) in a thread of its own; false if the system has none left.
static inline int start_thread(thread_result(THREAD *body)(void *), void *argument) {
    HANDLE thread = CreateThread(NULL, 0, body, argument, 0, NULL);
    if (thread) CloseHandle(thread);
    return thread != NULL;
}

static inline int64_t nanoseconds(void) {
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (int64_t)(ticks.QuadPart * (1e9 / per_second.QuadPart));
}

#else
#include <pthread.h>
#include <signal.h>
#include <time.h>

typedef pthread_mutex_t lock_t;
typedef pthread_cond_t condition_t;
#define UNLOCKED PTHREAD_MUTEX_INITIALIZER
#define NOBODY_WAITS PTHREAD_COND_INITIALIZER

static inline void lock(lock_t *l) { pthread_mutex_lock(l); }
static inline int try_lock(lock_t *l) { return pthread_mutex_trylock(l) == 0; }
static inline void unlock(lock_t *l) { pthread_mutex_unlock(l); }
static inline void wait_for(condition_t *c, lock_t *l) { pthread_cond_wait(c, l); }
static inline void wake_all(condition_t *c) { pthread_cond_broadcast(c); }

typedef void *thread_result;
#define THREAD

// Starts body(argument) in a thread of its own, which no signal reaches; false if the system has none left.
static inline int start_thread(thread_result (*body)(void *), void *argument) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = pthread_create(&thread, NULL, body, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) pthread_detach(thread);
    return started;
}

static inline int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}
#endif

// Tells the processor that this thread only waits for another's write.
static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
