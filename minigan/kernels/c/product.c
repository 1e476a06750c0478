// The tiles of product.h for each number of rows and vectors, and how b is packed for them.
#include "product.h"

// The compiler is given each number of rows as a constant, so that it can keep the sums in registers.
#if ROWS == 12
#define FOR_EACH_NUMBER_OF_ROWS(x) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12)
#else
#define FOR_EACH_NUMBER_OF_ROWS(x) x(1) x(2) x(3) x(4) x(5) x(6)
#endif

typedef vec sums[ROWS][2];

// The first `columns` of the floats at p as `vectors` vectors.
INLINE void load_row(const int vectors, const float *p, int64_t columns, vec row[2]) {
    for (int v = 0; v < vectors; v++, columns -= LANES)
        row[v] = columns >= LANES ? load(p + v * LANES) : load_part(p + v * LANES, columns);
}

INLINE void store_row(const int vectors, float *p, int64_t columns, const vec row[2]) {
    for (int v = 0; v < vectors; v++, columns -= LANES) {
        if (columns >= LANES)
            store(p + v * LANES, row[v]);
        else
            store_part(p + v * LANES, row[v], columns);
    }
}

// --- products ----------------------------------------------------------------------------------------------------

INLINE void multiply(const int rows, const int vectors, const struct product_tile *t, sums sum) {
    UNROLLED for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[i][v] = (vec){0};
    const float *b = t->b, *a[ROWS];
    for (int64_t run = 0; run < t->runs; run++) {
        UNROLLED for (int i = 0; i < rows; i++) a[i] = t->a[i] + run * t->step;
        for (int64_t k = 0; k < t->length; k++, b += vectors * LANES) {
            vec first = load(b), second = load(b + (vectors - 1) * LANES);
            UNROLLED for (int i = 0; i < rows; i++) {
                sum[i][0] += a[i][k] * first;
                if (vectors == 2) sum[i][1] += a[i][k] * second;
            }
        }
    }
}

INLINE void finish(const int rows, const int vectors, const struct product_tile *t, sums sum) {
    vec bias[2] = {{0}, {0}}, before[2];
    if (t->bias) load_row(vectors, t->bias + t->j, t->columns, bias);
    UNROLLED for (int i = 0; i < rows; i++) {
        float *y = t->y[i] + t->j;
        if (t->add) load_row(vectors, y, t->columns, before);
        for (int v = 0; v < vectors; v++) {
            if (t->add) sum[i][v] += before[v];
            sum[i][v] = activated(sum[i][v] + bias[v], t->slope);
        }
        store_row(vectors, y, t->columns, sum[i]);
    }
}

INLINE void one_product_tile(const int rows, const int vectors, const struct product_tile *t) {
    sums sum;
    multiply(rows, vectors, t, sum);
    finish(rows, vectors, t, sum);
}

void product_tile(const struct product_tile *t) {
#define NARROW(n) case n: one_product_tile(n, 1, t); return;
#define WIDE(n) case n: one_product_tile(n, 2, t); return;
    if (t->columns <= LANES)
        switch (t->rows) { FOR_EACH_NUMBER_OF_ROWS(NARROW) }
    else
        switch (t->rows) { FOR_EACH_NUMBER_OF_ROWS(WIDE) }
#undef NARROW
#undef WIDE
}

void product(
    const float *a, int64_t a_row, const float *b, float *y, int64_t y_row, int64_t m, int64_t n, int64_t depth,
    int add) {
    const float *from[ROWS];
    float *to[ROWS];
    struct product_tile t = {.a = from, .runs = 1, .length = depth, .y = to, .add = add, .slope = 1};
    for (t.j = 0; t.j < n; t.j += WIDTH) {
        t.b = b + t.j * depth;
        t.columns = smaller(n - t.j, WIDTH);
        for (int64_t i = 0; i < m; i += ROWS) {
            t.rows = smaller(m - i, ROWS);
            for (int64_t r = 0; r < t.rows; r++) {
                from[r] = a + (i + r) * a_row;
                to[r] = y + (i + r) * y_row;
            }
            product_tile(&t);
        }
    }
}

// --- outer products -------------------------------------------------------------------------------------------------

INLINE void one_outer_tile(const int rows, const int vectors, const struct outer_tile *t) {
    sums sum;
    UNROLLED for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[i][v] = (vec){0};
    for (int64_t line = 0; line < t->lines; line++) {
        const float *a = t->a + line * t->a_line, *b = t->b + line * t->b_line;
        for (int64_t k = 0; k < t->steps; k++, a += t->a_step, b += t->b_step) {
            vec first = load(b), second = load(b + (vectors - 1) * LANES);
            UNROLLED for (int i = 0; i < rows; i++) {
                sum[i][0] += a[i] * first;
                if (vectors == 2) sum[i][1] += a[i] * second;
            }
        }
    }
    UNROLLED for (int i = 0; i < rows; i++) {
        float *y = t->y + i * t->y_row;
        vec before[2];
        if (t->add) load_row(vectors, y, t->columns, before);
        for (int v = 0; t->add && v < vectors; v++) sum[i][v] += before[v];
        store_row(vectors, y, t->columns, sum[i]);
    }
}

void outer_tile(const struct outer_tile *t) {
#define NARROW(n) case n: one_outer_tile(n, 1, t); return;
#define WIDE(n) case n: one_outer_tile(n, 2, t); return;
    if (t->columns <= LANES)
        switch (t->rows) { FOR_EACH_NUMBER_OF_ROWS(NARROW) }
    else
        switch (t->rows) { FOR_EACH_NUMBER_OF_ROWS(WIDE) }
#undef NARROW
#undef WIDE
}

// --- packing -----------------------------------------------------------------------------------------------------

// Vectors without the memory's alignment and aliasing, as the shuffles take and return them.
typedef float row_t __attribute__((vector_size(4 * LANES)));

#if LANES == 16
#define EACH_LANE(f, s) \
    f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), f(9, s), f(10, s), f(11, s), \
        f(12, s), f(13, s), f(14, s), f(15, s)
#elif LANES == 8
#define EACH_LANE(f, s) f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s)
#else
#define EACH_LANE(f, s) f(0, s), f(1, s), f(2, s), f(3, s)
#endif

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t lanes_t __attribute__((vector_size(4 * LANES)));
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (lanes_t){__VA_ARGS__})
#endif

// Of two rows s apart, the 2 s x 2 s squares are [A B; C D] of s x s squares: they become [A C; B D]. For s = 1, 2, 4
// and so on, that transposes the whole.
#define UPPER(lane, s) ((lane) & (s) ? LANES + (lane) - (s) : (lane))
#define LOWER(lane, s) ((lane) & (s) ? LANES + (lane) : (lane) + (s))
#define SWAP_SQUARES(s)                                                  \
    UNROLLED for (int i = 0; i < LANES; i++) {                           \
        if (i & (s)) continue;                                           \
        row_t a = row[i], b = row[i + (s)];                              \
        row[i] = SHUFFLED(a, b, EACH_LANE(UPPER, s));                    \
        row[i + (s)] = SHUFFLED(a, b, EACH_LANE(LOWER, s));              \
    }

// Transposes LANES x LANES floats in registers.
INLINE void transpose_square(const float *x, int64_t x_row, float *out, int64_t out_row) {
    row_t row[LANES];
    UNROLLED for (int i = 0; i < LANES; i++) row[i] = (row_t)load(x + i * x_row);
    SWAP_SQUARES(1)
    SWAP_SQUARES(2)
#if LANES >= 8
    SWAP_SQUARES(4)
#endif
#if LANES >= 16
    SWAP_SQUARES(8)
#endif
    UNROLLED for (int i = 0; i < LANES; i++) store(out + i * out_row, (vec)row[i]);
}

void transpose(const float *x, int64_t x_row, int64_t rows, int64_t columns, float *out, int64_t out_row) {
    int64_t whole_rows = rows - rows % LANES, whole_columns = columns - columns % LANES;
    for (int64_t i = 0; i < whole_rows; i += LANES)
        for (int64_t j = 0; j < whole_columns; j += LANES)
            transpose_square(x + i * x_row + j, x_row, out + j * out_row + i, out_row);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; j++) out[j * out_row + i] = x[i * x_row + j];
}

void pack_strip(const float *b, int64_t b_row, int64_t b_column, int64_t depth, int64_t columns, float *strip) {
    int64_t width = strip_width(columns);
    if (columns < width)
        for (int64_t k = 0; k < depth; k++) memset(strip + k * width + columns, 0, (width - columns) * sizeof(float));
    if (b_row == 1) {
        transpose(b, b_column, columns, depth, strip, width);
    } else if (b_column == 1 && columns == WIDTH) {
        for (int64_t k = 0; k < depth; k++, b += b_row, strip += WIDTH) {
            store(strip, load(b));
            store(strip + LANES, load(b + LANES));
        }
    } else {
        for (int64_t k = 0; k < depth; k++, b += b_row, strip += width)
            for (int64_t j = 0; j < columns; j++) strip[j] = b[j * b_column];
    }
}
