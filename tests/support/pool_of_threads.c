// Four threads share thousands of small jobs, while the number of threads changes, and so does a forked child: each
// result is checked. Exits with 0 if all are right. Built with -fsanitize=thread and without.
#include "common.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_PARTS 64
#define FLOATS 100

void set_threads(int64_t n);

struct job {
    int64_t found[MOST_PARTS], base;
};

static void work(void *argument, int64_t part, int64_t parts, float *scratch) {
    struct job *j = argument;
    scratch[0] = part;
    scratch[FLOATS - 1] = parts;
    j->found[part] = j->base + (int64_t)scratch[0];
}

static void *call(void *number) {
    int64_t me = (int64_t)(intptr_t)number;
    struct job j;
    for (int64_t i = 0; i < 3000; i++) {
        int64_t parts = 1 + (i * 13 + me) % MOST_PARTS;
        j.base = 7 * i + me;
        if (share(work, &j, parts, FLOATS)) abort();
        for (int64_t p = 0; p < parts; p++)
            if (j.found[p] != j.base + p) abort();
        if (i % 500 == 0) set_threads(1 + (i / 500 + me) % 5);
        if (i % 300 == 0) usleep(100);  // helpers fall asleep
    }
    return NULL;
}

int main(int count, char **arguments) {
    (void)arguments;
    pthread_t others[3];
    set_threads(4);
    for (int64_t i = 0; i < 3; i++) pthread_create(&others[i], NULL, call, (void *)(intptr_t)(i + 1));
    call(NULL);
    for (int64_t i = 0; i < 3; i++) pthread_join(others[i], NULL);
    if (count > 1) return 0;  // the sanitizer of threads does not follow forks
    pid_t child = fork();
    if (child == 0) {
        set_threads(4);
        call(NULL);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return status;
}
