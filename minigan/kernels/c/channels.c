// Statistics and normalisation of each column of a matrix: of each channel, when rows are pixels.
//
// A sum over all rows is taken of a block of them in single precision, then of all blocks in double precision. Each
// part of the rows has sums of its own, which are added in the order of the parts.
#include <math.h>

#include "passes.h"

#define BLOCK 64  // wide rows that are added up in single precision

// What is summed over the rows: x, x y, or (x - centre)^2, and for BOTH x y and x.
enum sum { PLAIN, PRODUCTS, SQUARES, BOTH };

struct sums {
    const float *x, *y, *centre;
    int64_t rows, columns;
    double *totals;  // of each part
};

INLINE float term(enum sum kind, float x, float other) {
    return kind == PLAIN ? x : kind == SQUARES ? (x - other) * (x - other) : x * other;
}

// sums[c] += the sum over `rows` rows of what `kind` says, for each column; plain[c] too that of x, for BOTH.
INLINE void add_rows(
    enum sum kind, const float *restrict x, const float *restrict y, const float *restrict centre, int64_t rows,
    int64_t columns, float *restrict sums, float *restrict plain) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            float value = x[r * columns + c];
            float other = kind == PRODUCTS || kind == BOTH ? y[r * columns + c] : kind == SQUARES ? centre[c] : 0;
            sums[c] += term(kind, value, other);
            if (kind == BOTH) plain[c] += value;
        }
}

// totals[c] += what has been added up, which becomes zero.
static void carry(float *restrict sums, double *restrict totals, int64_t width) {
    for (int64_t c = 0; c < width; c++) {
        totals[c] += sums[c];
        sums[c] = 0;
    }
}

// total[c] = the sum over the rows that are one in a wide row.
static void unfold(const double *wide, int64_t width, int64_t columns, double *total) {
    for (int64_t c = 0; c < columns; c++) {
        total[c] = 0;
        for (int64_t i = c; i < width; i += columns) total[c] += wide[i];
    }
}

// Floats of scratch that `sum_part` uses: a wide row of values for the columns, and two of sums in each precision.
static size_t scratch_of(int64_t columns) { return 7 * columns * fold_of(columns); }

INLINE void sum_part(enum sum kind, const struct sums *j, int64_t part, int64_t parts, float *scratch) {
    int64_t columns = j->columns, fold = fold_of(columns), width = columns * fold;
    double *totals = (double *)scratch, *plain_totals = totals + width;
    float *sums = (float *)(plain_totals + width), *plain = sums + width, *centre = plain + width;
    memset(scratch, 0, 6 * width * sizeof(float));
    if (kind == SQUARES) repeated(j->centre, columns, centre);
    struct span mine = span_of_units(j->rows, fold, part, parts);
    for (int64_t r = mine.from; r < mine.to; r += BLOCK * fold) {
        int64_t rows = smaller(BLOCK * fold, mine.to - r);
        int64_t rest = rows % fold * columns, at = (r + rows) * columns - rest;  // elements too few for a wide row
        const float *y = kind == PRODUCTS || kind == BOTH ? j->y : NULL;
        add_rows(kind, j->x + r * columns, y ? y + r * columns : NULL, centre, rows / fold, width, sums, plain);
        add_rows(kind, j->x + at, y ? y + at : NULL, centre, rest > 0, rest, sums, plain);
        carry(sums, totals, width);
        if (kind == BOTH) carry(plain, plain_totals, width);
    }
    double *total = j->totals + part * columns * (kind == BOTH ? 2 : 1);
    unfold(totals, width, columns, total);
    if (kind == BOTH) unfold(plain_totals, width, columns, total + columns);
}

static void plain_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(PLAIN, job, part, parts, scratch);
}

static void products_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(PRODUCTS, job, part, parts, scratch);
}

static void squares_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(SQUARES, job, part, parts, scratch);
}

static void both_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(BOTH, job, part, parts, scratch);
}

// The sums over all rows, in the memory returned, which is to be given back: NULL if there is none.
static double *sums_of(part_fn *work, struct sums *job, int64_t each) {
    int64_t parts = smaller(parts_of(job->rows * job->columns), ceil_div(job->rows, fold_of(job->columns)));
    int64_t wanted = each * job->columns;
    job->totals = (double *)borrow(2 * parts * wanted);
    if (!job->totals) return NULL;
    if (share(work, job, parts, scratch_of(job->columns))) {
        give_back((float *)job->totals);
        return NULL;
    }
    for (int64_t p = 1; p < parts; p++)
        for (int64_t c = 0; c < wanted; c++) job->totals[c] += job->totals[p * wanted + c];
    return job->totals;
}

// out[c] = the sum over all rows of x[r, c], or of x[r, c] y[r, c] where y is given
EXPORT int column_sums(const float *x, const float *y, float *out, int64_t rows, int64_t columns) {
    struct sums job = {x, y, NULL, rows, columns, NULL};
    double *totals = sums_of(y ? products_part : plain_part, &job, 1);
    if (!totals) return 1;
    for (int64_t c = 0; c < columns; c++) out[c] = (float)totals[c];
    give_back((float *)totals);
    return 0;
}

// out[c] = 1 / sqrt(var + eps), var the mean over all rows of (x[r, c] - mean[c])^2
EXPORT int inv_std(const float *x, const float *mean, float *out, int64_t rows, int64_t columns, double eps) {
    struct sums job = {x, NULL, mean, rows, columns, NULL};
    double *totals = sums_of(squares_part, &job, 1);
    if (!totals) return 1;
    for (int64_t c = 0; c < columns; c++) out[c] = (float)(1 / sqrt(totals[c] / rows + eps));
    give_back((float *)totals);
    return 0;
}

// --- a function of each element and of values for its column --------------------------------------------------------

struct columns {
    const float *x, *y;      // y for normalize_grad alone
    const float *values[3];  // for each column; those that follow the last are NULL
    float *out;
    int64_t rows, columns;
};

typedef void row_loop(
    const float *restrict x, const float *restrict y, const float *restrict a, const float *restrict b,
    const float *restrict c, float *restrict out, int64_t n);

INLINE void each_row(row_loop *loop, const struct columns *j, int64_t part, int64_t parts, float *scratch) {
    int64_t size = j->rows * j->columns, width = j->columns * fold_of(j->columns);
    for (int k = 0; k < 3 && j->values[k]; k++) repeated(j->values[k], j->columns, scratch + k * width);
    struct span mine = span_of_units(size, width, part, parts);
    for (int64_t i = mine.from; i < mine.to; i += width)
        loop(j->x + i, j->y ? j->y + i : NULL, scratch, scratch + width, scratch + 2 * width, j->out + i,
             smaller(width, mine.to - i));
}

#define ROW_LOOP(name, value)                                                                          \
    INLINE void name##_row(                                                                            \
        const float *restrict x, UNUSED const float *restrict y, const float *restrict a,              \
        const float *restrict b, UNUSED const float *restrict c, float *restrict out, int64_t n) {     \
        for (int64_t i = 0; i < n; i++) out[i] = value;                                                \
    }                                                                                                  \
    static void name##_part(void *job, int64_t part, int64_t parts, float *scratch) {                  \
        each_row(name##_row, job, part, parts, scratch);                                               \
    }

ROW_LOOP(normalize, (x[i] - a[i]) * b[i])
ROW_LOOP(scale_shift, x[i] * a[i] + b[i])
ROW_LOOP(normalize_grad, (x[i] - y[i] * a[i] - b[i]) * c[i])

static int in_rows(part_fn *work, struct columns *job) {
    return share(work, job, parts_of(job->rows * job->columns), 3 * job->columns * fold_of(job->columns));
}

// y = (x - mean) scale for each column
EXPORT int normalize(const float *x, const float *mean, const float *scale, float *y, int64_t rows, int64_t columns) {
    struct columns job = {x, NULL, {mean, scale, NULL}, y, rows, columns};
    return in_rows(normalize_part, &job);
}

// z = y w + b for each column
EXPORT int scale_shift(const float *y, const float *w, const float *b, float *z, int64_t rows, int64_t columns) {
    struct columns job = {y, NULL, {w, b, NULL}, z, rows, columns};
    return in_rows(scale_shift_part, &job);
}

// x = scale (g - mean(g) - y mean(g y)) for each column: one pass for the means, one for x
EXPORT int normalize_grad(
    const float *g, const float *y, const float *scale, float *x, int64_t rows, int64_t columns) {
    struct sums job = {g, y, NULL, rows, columns, NULL};
    double *totals = sums_of(both_part, &job, 2);
    float *slope = totals ? borrow(2 * columns) : NULL, *shift = slope + columns;
    if (slope) {
        for (int64_t c = 0; c < columns; c++) {
            slope[c] = (float)(totals[c] / rows);
            shift[c] = (float)(totals[columns + c] / rows);
        }
    }
    give_back((float *)totals);
    if (!slope) return 1;
    struct columns apply = {g, y, {slope, shift, scale}, x, rows, columns};
    int failed = in_rows(normalize_grad_part, &apply);
    give_back(slope);
    return failed;
}

// Running statistics move towards a batch's: its mean, and the variance that r = 1 / sqrt(var + eps) stands for.
EXPORT int track(
    float *running_mean, float *running_var, const float *mean, const float *r, float unbiased, double momentum,
    float eps, int64_t columns) {
    float kept = (float)(1 - momentum), toward = (float)momentum;
    for (int64_t c = 0; c < columns; c++) {
        float var = 1 / (r[c] * r[c]) - eps;
        var = (var > 0 || var != var ? var : 0) * unbiased;
        running_mean[c] = running_mean[c] * kept + mean[c] * toward;
        running_var[c] = running_var[c] * kept + var * toward;
    }
    return 0;
}
