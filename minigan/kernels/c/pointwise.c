// Element by element, in one pass over memory.
#include "passes.h"

// --- leaky ReLU: y = x where x > 0, slope x elsewhere, slope > 0 ---------------------------------------------------

struct activation {
    const float *x, *g;
    float *out;
    int64_t size;
    float slope;
};

static void leaky_relu_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct activation *j = job;
    const float *restrict x = j->x;
    float *restrict y = j->out, slope = j->slope;
    struct span mine = span_of_units(j->size, LINE, part, parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        float low = slope * x[i];
        y[i] = x[i] > 0 ? x[i] : low;
    }
}

EXPORT int leaky_relu(const float *x, float *y, int64_t size, float slope) {
    struct activation job = {x, NULL, y, size, slope};
    return share(leaky_relu_part, &job, parts_of(size), 0);
}

// g where x > 0, slope g elsewhere, which is 0 where the slope is: also for an infinite g.
static void leaky_relu_grad_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct activation *j = job;
    const float *restrict x = j->x, *restrict g = j->g;
    float *restrict out = j->out, slope = j->slope;
    struct span mine = span_of_units(j->size, LINE, part, parts);
    if (slope == 0) {
        for (int64_t i = mine.from; i < mine.to; i++) out[i] = x[i] > 0 ? g[i] : 0;
    } else {
        for (int64_t i = mine.from; i < mine.to; i++) {
            float low = slope * g[i];
            out[i] = x[i] > 0 ? g[i] : low;
        }
    }
}

EXPORT int leaky_relu_grad(const float *g, const float *x, float *out, int64_t size, float slope) {
    struct activation job = {x, g, out, size, slope};
    return share(leaky_relu_grad_part, &job, parts_of(size), 0);
}

// --- arithmetic of two arrays, or of an array and a row with one value for each channel, or a column ----------------
//
// A number is a row of one column. A column has one value for each sample, or for each unit of a layer's weights.

typedef void loop(const float *restrict a, const float *restrict b, float *restrict y, int64_t n);

#define LOOP(name, value)                                                                            \
    static void name(const float *restrict a, const float *restrict b, float *restrict y, int64_t n) { \
        for (int64_t i = 0; i < n; i++) y[i] = value;                                                \
    }

LOOP(add, a[i] + b[i])
LOOP(subtract, a[i] - b[i])
LOOP(multiply, a[i] * b[i])
LOOP(divide, a[i] / b[i])
LOOP(maximum, ((a[i] > b[i]) | (a[i] != a[i])) ? a[i] : b[i])  // NaN if either is
LOOP(minimum, ((a[i] < b[i]) | (a[i] != a[i])) ? a[i] : b[i])

static loop *const loops[] = {add, subtract, multiply, divide, maximum, minimum};  // in the order of compiled.py

struct arithmetic {
    loop *loop;
    const float *a, *b;
    float *y;
    int64_t size;
    int64_t columns;  // of the operand that is a row, or in each row of the one that is not a column
    int row;          // which operand is a row or a column, 0 or 1
    int64_t run;      // rows of the other for each one of the operand that has several
};

static void of_arrays(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct arithmetic *j = job;
    struct span mine = span_of_units(j->size, LINE, part, parts);
    j->loop(j->a + mine.from, j->b + mine.from, j->y + mine.from, mine.to - mine.from);
}

static void of_array_and_row(void *job, int64_t part, int64_t parts, float *scratch) {
    const struct arithmetic *j = job;
    int64_t width = repeated(j->row ? j->b : j->a, j->columns, scratch) - scratch;
    struct span mine = span_of_units(j->size, width, part, parts);
    for (int64_t i = mine.from; i < mine.to; i += width) {
        int64_t n = smaller(width, mine.to - i);
        j->loop(j->row ? j->a + i : scratch, j->row ? scratch : j->b + i, j->y + i, n);
    }
}

// y = a and b put together by the function of that number, both of y's size and layout.
EXPORT int arithmetic(int64_t function, const float *a, const float *b, float *y, int64_t size) {
    struct arithmetic job = {loops[function], a, b, y, size, 0, 0, 0};
    return share(of_arrays, &job, parts_of(size), 0);
}

// The same where one of them, the first (0) or the second (1), is a row of so many columns, the other rows of them.
EXPORT int arithmetic_row(
    int64_t function, const float *a, const float *b, float *y, int64_t size, int64_t columns, int64_t row) {
    struct arithmetic job = {loops[function], a, b, y, size, columns, (int)row, 0};
    return share(of_array_and_row, &job, parts_of(size), columns * fold_of(columns));
}

static void of_array_and_column(void *job, int64_t part, int64_t parts, float *scratch) {
    const struct arithmetic *j = job;
    struct span rows = span_of(j->size / j->columns, part, parts);
    for (int64_t r = rows.from; r < rows.to; r++) {
        int64_t i = r * j->columns;
        float value = (j->row ? j->b : j->a)[r];
        for (int64_t c = 0; c < j->columns; c++) scratch[c] = value;
        j->loop(j->row ? j->a + i : scratch, j->row ? scratch : j->b + i, j->y + i, j->columns);
    }
}

// The same where one of them, the first (0) or the second (1), has one value for each row of so many columns.
EXPORT int arithmetic_column(
    int64_t function, const float *a, const float *b, float *y, int64_t size, int64_t columns, int64_t column) {
    struct arithmetic job = {loops[function], a, b, y, size, columns, (int)column, 0};
    return share(of_array_and_column, &job, smaller(parts_of(size), size / columns), columns);
}

static void of_array_and_rows(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct arithmetic *j = job;
    struct span rows = span_of(j->size / j->columns, part, parts);
    for (int64_t r = rows.from; r < rows.to; r++) {
        int64_t i = r * j->columns;
        const float *own = (j->row ? j->b : j->a) + r / j->run * j->columns;
        j->loop(j->row ? j->a + i : own, j->row ? own : j->b + i, j->y + i, j->columns);
    }
}

// The same where one of them, the first (0) or the second (1), has a row of so many columns for each `run` rows.
EXPORT int arithmetic_rows(
    int64_t function, const float *a, const float *b, float *y, int64_t size, int64_t columns, int64_t run,
    int64_t row) {
    struct arithmetic job = {loops[function], a, b, y, size, columns, (int)row, run};
    return share(of_array_and_rows, &job, parts_of(size), 0);
}
