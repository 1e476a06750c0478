// Optimizer updates, in place, of all parameters in one call: each array is read and written once.
//
// The learning rate, the step count and the decay of an average are read where they lie, so that a replayed call sees
// them move. The formulas are those of portable.py.
#include <math.h>

#include "passes.h"

#define SLOTS 3
#define LARGEST 3.40282346638528859812e+38f
#define HALF_A_UNIT 5.9604644775390625e-08f  // in the last place of a number

// A parameter, its gradient, the optimizer's slots, their number of elements; all in the same order of memory.
struct row {
    float *p;
    const float *g;
    float *slot[SLOTS];
    int64_t size;
};

struct update {
    const struct row *rows;
    int64_t count, size;  // of rows, and of their elements together
    float rate, momentum, weight_decay, eps;
    float alpha, toward;                       // of rmsprop; toward of average too
    float kept, beta1, beta2, toward1, root2;  // of adam
    int nesterov, centered, has_slots;
};

// Some elements of a row.
typedef void rule(const struct update *u, const struct row *row, int64_t n);

// The elements of all rows, one row after the other, are what is cut into parts.
INLINE void each_row(rule *rule, const struct update *u, int64_t part, int64_t parts) {
    struct span mine = span_of_units(u->size, LINE, part, parts);
    int64_t begin = 0;
    for (const struct row *r = u->rows; r < u->rows + u->count && begin < mine.to; begin += r->size, r++) {
        int64_t from = larger(mine.from - begin, 0), to = smaller(mine.to - begin, r->size);
        if (from >= to) continue;
        struct row piece = {r->p + from, r->g + from, {NULL}, to - from};
        for (int k = 0; k < SLOTS; k++) piece.slot[k] = r->slot[k] ? r->slot[k] + from : NULL;
        rule(u, &piece, to - from);
    }
}

#define RULE(name)                                                                           \
    static void name##_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) { \
        each_row(name##_rule, job, part, parts);                                             \
    }

static int run(part_fn *work, struct update *u) {
    for (const struct row *r = u->rows; r < u->rows + u->count; r++) u->size += r->size;
    return share(work, u, parts_of(u->size), 0);
}

// The gradient with its decay, infinities as the largest number.
INLINE float limited(float g, float p, float weight_decay) {
    if (weight_decay != 0) g += weight_decay * p;
    g = g > LARGEST ? LARGEST : g;
    return g < -LARGEST ? -LARGEST : g;
}

// v = momentum v + g; p -= rate v, or Nesterov's p -= rate (g + momentum v)
INLINE void sgd_rule(const struct update *u, const struct row *row, int64_t n) {
    float *restrict p = row->p, *restrict v = row->slot[0];
    const float *restrict gradient = row->g;
    float rate = u->rate, momentum = u->momentum, decay = u->weight_decay;
    if (!u->has_slots) {
        for (int64_t i = 0; i < n; i++) p[i] -= rate * limited(gradient[i], p[i], decay);
        return;
    }
    int nesterov = u->nesterov;
    for (int64_t i = 0; i < n; i++) {
        float g = limited(gradient[i], p[i], decay);
        float moved = v[i] = momentum * v[i] + g;
        p[i] -= rate * (nesterov ? g + momentum * moved : moved);
    }
}

RULE(sgd)

EXPORT int sgd(
    const void *rows, int64_t count, const double *lr, float momentum, float weight_decay, int64_t nesterov,
    int64_t slots) {
    struct update u = {
        .rows = rows, .count = count, .rate = (float)*lr, .momentum = momentum, .weight_decay = weight_decay,
        .nesterov = nesterov != 0, .has_slots = slots != 0};
    return run(sgd_part, &u);
}

// s = alpha s + (1 - alpha) g^2; p -= rate g / (sqrt(s) + eps), with the square of the average of g taken from s where
// it is centered, and with a buffer where there is a momentum
INLINE void rmsprop_elements(
    const struct update *u, const struct row *row, int64_t n, const int centered, const int has_buffer) {
    float *restrict p = row->p, *restrict s = row->slot[0], *restrict average = row->slot[1];
    float *restrict buffer = row->slot[centered ? 2 : 1];
    const float *restrict gradient = row->g;
    float rate = u->rate, alpha = u->alpha, toward = u->toward, eps = u->eps;
    float momentum = u->momentum, decay = u->weight_decay;
    for (int64_t i = 0; i < n; i++) {
        float g = limited(gradient[i], p[i], decay);
        float square = s[i] = alpha * s[i] + toward * g * g;
        if (centered) {
            float mean = average[i] = alpha * average[i] + toward * g;
            float least = HALF_A_UNIT * square, variance = square - mean * mean;  // NaN where both are infinite
            square = variance > least ? variance : least;
        }
        float step = g / (sqrtf(square) + eps);
        if (has_buffer) step = buffer[i] = momentum * buffer[i] + step;
        p[i] -= rate * step;
    }
}

INLINE void rmsprop_rule(const struct update *u, const struct row *row, int64_t n) {
    if (u->centered && u->momentum != 0)
        rmsprop_elements(u, row, n, 1, 1);
    else if (u->centered)
        rmsprop_elements(u, row, n, 1, 0);
    else if (u->momentum != 0)
        rmsprop_elements(u, row, n, 0, 1);
    else
        rmsprop_elements(u, row, n, 0, 0);
}

RULE(rmsprop)

EXPORT int rmsprop(
    const void *rows, int64_t count, const double *lr, double alpha, float eps, float weight_decay, float momentum,
    int64_t centered) {
    struct update u = {
        .rows = rows, .count = count, .rate = (float)*lr, .alpha = (float)alpha, .toward = (float)(1 - alpha),
        .eps = eps, .weight_decay = weight_decay, .momentum = momentum, .centered = centered != 0};
    return run(rmsprop_part, &u);
}

// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= rate m / (sqrt(v) + eps)
// where rate and eps hold the corrections of the first steps
INLINE void adam_rule(const struct update *u, const struct row *row, int64_t n) {
    float *restrict p = row->p, *restrict m = row->slot[0], *restrict v = row->slot[1];
    const float *restrict gradient = row->g;
    float rate = u->rate, eps = u->eps, kept = u->kept, decay = u->weight_decay;
    float beta1 = u->beta1, beta2 = u->beta2, toward1 = u->toward1, root2 = u->root2;
    for (int64_t i = 0; i < n; i++) {
        float g = limited(gradient[i], p[i], decay);
        float first = m[i] = beta1 * m[i] + toward1 * g;
        float part = root2 * g;  // squared thus, since g^2 overflows first
        float second = v[i] = beta2 * v[i] + part * part;
        p[i] = kept * p[i] - rate * first / (sqrtf(second) + eps);
    }
}

RULE(adam)

EXPORT int adam(
    const void *rows, int64_t count, const double *lr, const int64_t *t, double beta1, double beta2, double eps,
    double weight_decay, int64_t decoupled) {
    double correction = sqrt(1 - pow(beta2, (double)*t)), rate = *lr / (1 - pow(beta1, (double)*t));
    struct update u = {
        .rows = rows, .count = count, .rate = (float)rate * (float)correction, .eps = (float)(eps * correction),
        .kept = decoupled ? (float)(1 - *lr * weight_decay) : 1, .weight_decay = decoupled ? 0 : (float)weight_decay,
        .beta1 = (float)beta1, .beta2 = (float)beta2, .toward1 = (float)(1 - beta1), .root2 = (float)sqrt(1 - beta2)};
    return run(adam_part, &u);
}

// shadow += (1 - decay) (parameter - shadow): the shadow stands where a parameter does, the parameter as its gradient
INLINE void average_rule(const struct update *u, const struct row *row, int64_t n) {
    float *restrict shadow = row->p, toward = u->toward;
    const float *restrict parameter = row->g;
    for (int64_t i = 0; i < n; i++) shadow[i] += toward * (parameter[i] - shadow[i]);
}

RULE(average)

EXPORT int average(const void *rows, int64_t count, const double *decay) {
    struct update u = {.rows = rows, .count = count, .toward = (float)(1 - *decay)};
    return run(average_part, &u);
}
