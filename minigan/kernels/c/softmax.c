// The soft maximum of each row of a matrix, and its gradient.
#include "passes.h"

// e^x for x <= 0, 0 below e^-87, where floats lose their digits: 2^n e^r with |r| <= ln(2) / 2 and a polynomial of
// degree 7 (Cephes), a last digit or two from exact. A NaN stays one.
INLINE vec exponential(vec x) {
    const vec magic = splat(12582912.0f);  // 1.5 * 2^23: what is added to it is rounded to an integer
    vec shifted = x * 1.44269504f + magic, n = shifted - magic;
    vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = splat(1.9875691500e-4f) * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    vec power = (vec)(((mask)shifted - (mask)magic + 127) << 23);
    return choose(x < splat(-87.0f), splat(0), p * power);
}

INLINE float sum_of(vec x) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

static float largest_of(const float *x, int64_t n) {
    float top = x[0];
    int64_t i = 0;
    if (n >= LANES) {
        vec tops = load(x);
        for (i = LANES; i + LANES <= n; i += LANES) tops = choose(load(x + i) > tops, load(x + i), tops);
        for (int k = 0; k < LANES; k++) top = tops[k] > top ? tops[k] : top;
    }
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}

static void softmax_row(const float *x, float *y, int64_t n) {
    vec top = splat(largest_of(x, n)), sums = splat(0);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec e = exponential(load(x + i) - top);
        store(y + i, e);
        sums += e;
    }
    store_part(y + i, exponential(load_part(x + i, n - i) - top), n - i);
    float total = sum_of(sums);
    for (int64_t k = i; k < n; k++) total += y[k];
    float by = 1 / total;  // NaN if one is NaN or infinity, or all are -infinity
    for (i = 0; i < n; i++) y[i] *= by;
}

static void softmax_grad_row(const float *g, const float *y, float *out, int64_t n) {
    vec sums = splat(0);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) sums += load(g + i) * load(y + i);
    float mean = sum_of(sums);
    for (; i < n; i++) mean += g[i] * y[i];
    for (i = 0; i < n; i++) out[i] = (g[i] - mean) * y[i];
}

struct softmax {
    const float *g, *x;
    float *out;
    int64_t rows, columns;
};

static void softmax_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct softmax *j = job;
    struct span mine = span_of(j->rows, part, parts);
    for (int64_t row = mine.from; row < mine.to; row++) {
        int64_t at = row * j->columns;
        if (j->g)
            softmax_grad_row(j->g + at, j->x + at, j->out + at, j->columns);
        else
            softmax_row(j->x + at, j->out + at, j->columns);
    }
}

// e^x / sum(e^x) over each row of x (rows, columns), of which there is at least one.
EXPORT int softmax(const float *x, float *y, int64_t rows, int64_t columns) {
    struct softmax job = {NULL, x, y, rows, columns};
    return share(softmax_part, &job, parts_of(rows * columns), 0);
}

// y (g - sum(g y)) over each row.
EXPORT int softmax_grad(const float *g, const float *y, float *out, int64_t rows, int64_t columns) {
    struct softmax job = {g, y, out, rows, columns};
    return share(softmax_part, &job, parts_of(rows * columns), 0);
}
