// Statistics and normalisation of each column of a matrix: of each channel, when rows are pixels.
//
// There may be several matrices of one size behind each other, the samples, each with columns of its own. The rows of
// a sample are cut into pieces, and a thread takes some of all pieces. A sum over rows is taken of a block of them in
// single precision, then of all blocks in double precision. Each piece has sums of its own, which are added in the
// order of the pieces. The statistics of a column are its mean and r = 1 / sqrt(var + eps), all means first, and
// y = (x - mean) r is what they make of x.
#include <math.h>

#include "passes.h"

#define BLOCK 64  // wide rows that are added up in single precision

// What is summed over the rows: x, x y, or for ALONG both x and x times what the statistics make of y.
enum sum { PLAIN, PRODUCTS, ALONG };

struct sums {
    const float *x, *y, *mean, *r;  // mean and r of each column of each sample, for ALONG; r may be NULL, for 1
    int64_t samples, rows, columns, pieces;
    double *totals;  // of each piece
};

// In how many pieces the rows of each sample are summed.
static int64_t pieces_of_rows(int64_t samples, int64_t rows, int64_t columns) {
    return smaller(ceil_div(parts_of(samples * rows * columns), samples), ceil_div(rows, fold_of(columns)));
}

// In how many parts the pieces of all samples are shared.
static int64_t parts_of_pieces(int64_t samples, int64_t rows, int64_t columns, int64_t pieces) {
    return smaller(parts_of(samples * rows * columns), samples * pieces);
}

// sums[c] += the sum over `rows` rows of what `kind` says, for each column; for ALONG of x, and along[c] of the other.
INLINE void add_rows(
    enum sum kind, const float *restrict x, const float *restrict y, const float *restrict mean,
    const float *restrict r, int64_t rows, int64_t columns, float *restrict sums, float *restrict along) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < columns; c++) {
            float value = x[row * columns + c];
            sums[c] += kind == PRODUCTS ? value * y[row * columns + c] : value;
            if (kind == ALONG) along[c] += value * ((y[row * columns + c] - mean[c]) * r[c]);
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

// Floats of scratch that `sum_piece` uses: two wide rows of values for the columns, and two of sums in each precision.
static size_t scratch_of(int64_t columns) { return 8 * columns * fold_of(columns); }

// totals[k, c] of that piece = the k-th sum over its rows
INLINE void sum_piece(enum sum kind, const struct sums *j, int64_t piece, float *scratch) {
    int64_t columns = j->columns, fold = fold_of(columns), width = columns * fold, sample = piece / j->pieces;
    double *totals = (double *)scratch, *along_totals = totals + width;
    float *sums = (float *)(along_totals + width), *along = sums + width, *mean = along + width, *r = mean + width;
    memset(scratch, 0, 6 * width * sizeof(float));
    if (kind == ALONG) {
        repeated(j->mean + sample * columns, columns, mean);
        if (j->r) repeated(j->r + sample * columns, columns, r);
        for (int64_t i = 0; i < width && !j->r; i++) r[i] = 1;
    }
    const float *x = j->x + sample * j->rows * columns, *y = j->y + (j->y ? sample * j->rows * columns : 0);
    struct span mine = span_of_units(j->rows, fold, piece % j->pieces, j->pieces);
    for (int64_t row = mine.from; row < mine.to; row += BLOCK * fold) {
        int64_t rows = smaller(BLOCK * fold, mine.to - row);
        int64_t rest = rows % fold * columns, at = (row + rows) * columns - rest;  // elements too few for a wide row
        add_rows(kind, x + row * columns, y ? y + row * columns : NULL, mean, r, rows / fold, width, sums, along);
        add_rows(kind, x + at, y ? y + at : NULL, mean, r, rest > 0, rest, sums, along);
        carry(sums, totals, width);
        if (kind == ALONG) carry(along, along_totals, width);
    }
    double *total = j->totals + piece * columns * (kind == ALONG ? 2 : 1);
    unfold(totals, width, columns, total);
    if (kind == ALONG) unfold(along_totals, width, columns, total + columns);
}

INLINE void sum_part(enum sum kind, const struct sums *j, int64_t part, int64_t parts, float *scratch) {
    struct span mine = span_of(j->samples * j->pieces, part, parts);
    for (int64_t piece = mine.from; piece < mine.to; piece++) sum_piece(kind, j, piece, scratch);
}

static void plain_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(PLAIN, job, part, parts, scratch);
}

static void products_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(PRODUCTS, job, part, parts, scratch);
}

static void along_part(void *job, int64_t part, int64_t parts, float *scratch) {
    sum_part(ALONG, job, part, parts, scratch);
}

// out[k, s, c] = the k-th of the `each` sums over all rows of sample s
static int sums_of(part_fn *work, struct sums *job, int64_t each, float *out) {
    int64_t columns = job->columns, pieces = pieces_of_rows(job->samples, job->rows, columns);
    int64_t parts = parts_of_pieces(job->samples, job->rows, columns, pieces);
    job->pieces = pieces;
    job->totals = (double *)borrow(2 * job->samples * pieces * each * columns);
    if (!job->totals) return 1;
    int failed = share(work, job, parts, scratch_of(columns));
    for (int64_t s = 0; s < job->samples && !failed; s++)
        for (int64_t k = 0; k < each; k++) {
            const double *totals = job->totals + (s * pieces * each + k) * columns;
            float *sums = out + (k * job->samples + s) * columns;
            for (int64_t c = 0; c < columns; c++) {
                double total = totals[c];
                for (int64_t p = 1; p < pieces; p++) total += totals[p * each * columns + c];
                sums[c] = (float)total;
            }
        }
    give_back((float *)job->totals);
    return failed;
}

// out[c] = the sum over all rows of x[r, c], or of x[r, c] y[r, c] where y is given
EXPORT int column_sums(const float *x, const float *y, float *out, int64_t rows, int64_t columns) {
    struct sums job = {x, y, NULL, NULL, 1, rows, columns, 0, NULL};
    return sums_of(y ? products_part : plain_part, &job, 1, out);
}

// out[s, c] = the sum over the rows of sample s of x[s, r, c]
EXPORT int sample_sums(const float *x, float *out, int64_t samples, int64_t rows, int64_t columns) {
    struct sums job = {x, NULL, NULL, NULL, samples, rows, columns, 0, NULL};
    return sums_of(plain_part, &job, 1, out);
}

// out[0, c] = the sum over all rows of g[r, c], out[1, c] that of g[r, c] y[r, c], where y = (x - mean) r
EXPORT int channel_sums(
    const float *g, const float *x, const float *stats, float *out, int64_t rows, int64_t columns) {
    struct sums job = {g, x, stats, stats + columns, 1, rows, columns, 0, NULL};
    return sums_of(along_part, &job, 2, out);
}

// out[0, s, c] = the sum over the rows of sample s of g[s, r, c],
// out[1, s, c] = that of g[s, r, c] (x[s, r, c] - mean[s, c])
EXPORT int sample_products(
    const float *g, const float *x, const float *mean, float *out, int64_t samples, int64_t rows, int64_t columns) {
    struct sums job = {g, x, mean, NULL, samples, rows, columns, 0, NULL};
    return sums_of(along_part, &job, 2, out);
}

// --- mean and variance in one pass -----------------------------------------------------------------------------------
//
// A block of rows is summed less a shift, d = x - shift, so that squares stay small where the mean is large: its mean is
// shift + sum(d) / n, and its squares about that mean sum to m2 = sum(d^2) - sum(d)^2 / n. The shift is the mean of the
// first rows, and not the first one, which may lie far from all others: sum(d^2) is then at most 1 + n / FIRST times m2.
// Blocks, and then parts, are put together in double precision by the formula of Chan, Golub and LeVeque (1979): of
// counts n and k,
//     mean = mean_n + (mean_k - mean_n) k / (n + k)    m2 = m2_n + m2_k + (mean_k - mean_n)^2 n k / (n + k)

#define FIRST 8  // rows of a block whose mean is its shift

struct moments {
    double mean, m2;
};

// What n values with the moments a and k values with the moments b have together.
INLINE struct moments together(struct moments a, double n, struct moments b, double k) {
    double apart = b.mean - a.mean;
    return (struct moments){a.mean + apart * (k / (n + k)), a.m2 + b.m2 + apart * apart * (n * k / (n + k))};
}

struct stats {
    const float *x;
    int64_t samples, rows, columns, pieces;
    struct moments *found;  // of each piece
};

// shift[c] = the mean of the first rows, sums[c] and squares[c] = the sum over `rows` rows of d and of d^2
static void add_deviations(
    const float *restrict x, int64_t rows, int64_t columns, float *restrict shift, float *restrict sums,
    float *restrict squares) {
    int64_t some = smaller(rows, FIRST);
    memset(shift, 0, columns * sizeof(float));
    memset(sums, 0, columns * sizeof(float));
    memset(squares, 0, columns * sizeof(float));
    for (int64_t row = 0; row < some; row++)
        for (int64_t c = 0; c < columns; c++) shift[c] += x[row * columns + c] / some;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < columns; c++) {
            float d = x[row * columns + c] - shift[c];
            sums[c] += d;
            squares[c] += d * d;
        }
}

// The moments of each column of a block of k rows join those of n rows before it.
static void join(
    const float *restrict x, int64_t k, int64_t columns, int64_t n, float *restrict scratch,
    struct moments *restrict all) {
    float *restrict shift = scratch, *restrict sums = shift + columns, *restrict squares = sums + columns;
    add_deviations(x, k, columns, shift, sums, squares);
    for (int64_t c = 0; c < columns; c++) {
        double sum = sums[c];
        struct moments block = {shift[c] + sum / k, squares[c] - sum * sum / k};
        all[c] = together(all[c], n, block, k);
    }
}

// found[c] of that piece = the moments of column c over its rows
static void stats_of_piece(const struct stats *j, int64_t piece, float *scratch) {
    int64_t columns = j->columns, fold = fold_of(columns), width = columns * fold;
    struct moments *wide = (struct moments *)scratch;
    float *rest_of_scratch = (float *)(wide + width);
    memset(wide, 0, width * sizeof *wide);
    struct span mine = span_of_units(j->rows, fold, piece % j->pieces, j->pieces);
    int64_t count = (mine.to - mine.from) / fold, rest = (mine.to - mine.from) % fold * columns;
    const float *x = j->x + (piece / j->pieces * j->rows + mine.from) * columns;
    for (int64_t row = 0; row < count; row += BLOCK)
        join(x + row * width, smaller(BLOCK, count - row), width, row, rest_of_scratch, wide);
    if (rest) join(x + count * width, 1, rest, count, rest_of_scratch, wide);
    for (int64_t c = 0; c < columns; c++) {
        struct moments all = {0, 0};
        double n = 0;
        for (int64_t i = c; i < width; i += columns) {
            double k = count + (i < rest);
            if (k > 0) all = together(all, n, wide[i], k);
            n += k;
        }
        j->found[piece * columns + c] = all;
    }
}

static void stats_part(void *job, int64_t part, int64_t parts, float *scratch) {
    const struct stats *j = job;
    struct span mine = span_of(j->samples * j->pieces, part, parts);
    for (int64_t piece = mine.from; piece < mine.to; piece++) stats_of_piece(j, piece, scratch);
}

// found[c] = the moments of column c over all pieces of a sample, where those of its first piece were.
static void join_pieces(struct moments *found, int64_t pieces, int64_t rows, int64_t columns) {
    double n = 0;
    for (int64_t p = 0; p < pieces; p++) {
        struct span own = span_of_units(rows, fold_of(columns), p, pieces);
        double k = own.to - own.from;
        for (int64_t c = 0; c < columns && p > 0; c++) found[c] = together(found[c], n, found[p * columns + c], k);
        n += k;
    }
}

// found[c] = the moments of the group of column c, for each of `groups` runs of columns of one length.
static void join_columns(struct moments *found, int64_t groups, int64_t rows, int64_t columns) {
    int64_t size = columns / groups;
    for (struct moments *first = found; first < found + columns && size > 1; first += size) {
        for (int64_t c = 1; c < size; c++) first[0] = together(first[0], c * rows, first[c], rows);
        for (int64_t c = 1; c < size; c++) first[c] = first[0];
    }
}

// The moments of each column of each sample, or of its group, in an array that goes to give_back; NULL without memory.
static struct moments *moments_of(const float *x, int64_t samples, int64_t rows, int64_t columns, int64_t groups) {
    int64_t pieces = pieces_of_rows(samples, rows, columns), parts = parts_of_pieces(samples, rows, columns, pieces);
    struct moments *found = (struct moments *)borrow(4 * samples * pieces * columns);
    struct stats job = {x, samples, rows, columns, pieces, found};
    if (!found) return NULL;
    if (share(stats_part, &job, parts, 7 * columns * fold_of(columns))) {
        give_back((float *)found);
        return NULL;
    }
    for (int64_t s = 0; s < samples; s++) {
        struct moments *own = found + s * pieces * columns;
        join_pieces(own, pieces, rows, columns);
        join_columns(own, groups, rows, columns);
        memmove(found + s * columns, own, columns * sizeof *own);
    }
    return found;
}

// stats[0, c] = the mean over all rows of x[r, c], stats[1, c] = 1 / sqrt(var + eps), var the biased variance
EXPORT int channel_stats(const float *x, float *stats, int64_t rows, int64_t columns, double eps) {
    struct moments *found = moments_of(x, 1, rows, columns, columns);
    if (!found) return 1;
    for (int64_t c = 0; c < columns; c++) {
        stats[c] = (float)found[c].mean;
        stats[columns + c] = (float)(1 / sqrt(found[c].m2 / rows + eps));
    }
    give_back((float *)found);
    return 0;
}

// moments[0, s, c] = the mean over the rows of sample s of x[s, r, k] for all k in the group of column c,
// moments[1, s, c] = their biased variance; groups are runs of columns of one length
EXPORT int sample_moments(
    const float *x, float *moments, int64_t samples, int64_t rows, int64_t columns, int64_t groups) {
    struct moments *found = moments_of(x, samples, rows, columns, groups);
    if (!found) return 1;
    for (int64_t i = 0; i < samples * columns; i++) {
        moments[i] = (float)found[i].mean;
        moments[samples * columns + i] = (float)(found[i].m2 / (rows * (columns / groups)));
    }
    give_back((float *)found);
    return 0;
}

// --- a function of each element and of values for its column --------------------------------------------------------

#define VALUES 4  // of a column, at most

struct columns {
    const float *x, *y;           // y for batch_norm_grad alone
    const float *values[VALUES];  // for each column of each sample; those that follow the last are NULL
    float *out;
    int64_t samples, rows, columns, pieces;
};

// Element i of a run of n; a, b, c, d are the values of its column.
typedef void row_loop(
    const float *restrict x, const float *restrict y, const float *restrict a, const float *restrict b,
    const float *restrict c, const float *restrict d, float *restrict out, int64_t n);

INLINE void each_row(row_loop *loop, const struct columns *j, int64_t part, int64_t parts, float *scratch) {
    int64_t size = j->rows * j->columns, width = j->columns * fold_of(j->columns);
    struct span pieces = span_of(j->samples * j->pieces, part, parts);
    for (int64_t piece = pieces.from; piece < pieces.to; piece++) {
        int64_t sample = piece / j->pieces, first = sample * size;
        for (int k = 0; k < VALUES && j->values[k]; k++)
            repeated(j->values[k] + sample * j->columns, j->columns, scratch + k * width);
        struct span mine = span_of_units(size, width, piece % j->pieces, j->pieces);
        for (int64_t i = first + mine.from; i < first + mine.to; i += width)
            loop(j->x + i, j->y ? j->y + i : NULL, scratch, scratch + width, scratch + 2 * width, scratch + 3 * width,
                 j->out + i, smaller(width, first + mine.to - i));
    }
}

#define ROW_LOOP(name, value)                                                                          \
    INLINE void name##_row(                                                                            \
        const float *restrict x, UNUSED const float *restrict y, const float *restrict a,              \
        const float *restrict b, UNUSED const float *restrict c, UNUSED const float *restrict d,       \
        float *restrict out, int64_t n) {                                                              \
        for (int64_t i = 0; i < n; i++) out[i] = value;                                                \
    }                                                                                                  \
    static void name##_part(void *job, int64_t part, int64_t parts, float *scratch) {                  \
        each_row(name##_row, job, part, parts, scratch);                                               \
    }

ROW_LOOP(scale_shift, x[i] * a[i] + b[i])
ROW_LOOP(batch_norm, (x[i] - a[i]) * b[i] + c[i])
ROW_LOOP(batch_norm_grad, (x[i] - (y[i] - a[i]) * b[i] - c[i]) * d[i])
ROW_LOOP(scaled, (x[i] - a[i]) * b[i])

static int in_rows(part_fn *work, struct columns *job) {
    int64_t samples = job->samples, parts = parts_of(samples * job->rows * job->columns);
    job->pieces = ceil_div(parts, samples);
    return share(work, job, smaller(parts, samples * job->pieces), VALUES * job->columns * fold_of(job->columns));
}

// z = x w + b for each column
EXPORT int scale_shift(const float *x, const float *w, const float *b, float *z, int64_t rows, int64_t columns) {
    struct columns job = {x, NULL, {w, b, NULL, NULL}, z, 1, rows, columns, 0};
    return in_rows(scale_shift_part, &job);
}

// z = y w + b for each column, y = (x - mean) r; w is 1 and b 0 where they are not given
EXPORT int batch_norm(
    const float *x, const float *stats, const float *w, const float *b, float *z, int64_t rows, int64_t columns) {
    const float *mean = stats, *r = stats + columns;
    float *scale = borrow(2 * columns), *shift = scale + columns;
    if (!scale) return 1;
    for (int64_t c = 0; c < columns; c++) {
        scale[c] = w ? r[c] * w[c] : r[c];
        shift[c] = b ? b[c] : 0;
    }
    struct columns job = {x, NULL, {mean, scale, shift, NULL}, z, 1, rows, columns, 0};
    int failed = in_rows(batch_norm_part, &job);
    give_back(scale);
    return failed;
}

// d = w r (g - (sums[0] + y sums[1]) / rows) for each column, y = (x - mean) r; w is 1 where it is not given
EXPORT int batch_norm_grad(
    const float *g, const float *x, const float *stats, const float *sums, const float *w, float *d, int64_t rows,
    int64_t columns) {
    const float *mean = stats, *r = stats + columns;
    float *slope = borrow(3 * columns), *shift = slope + columns, *scale = shift + columns;
    if (!slope) return 1;
    for (int64_t c = 0; c < columns; c++) {
        slope[c] = r[c] * (sums[columns + c] / rows);
        shift[c] = sums[c] / rows;
        scale[c] = w ? r[c] * w[c] : r[c];
    }
    struct columns job = {g, x, {mean, slope, shift, scale}, d, 1, rows, columns, 0};
    int failed = in_rows(batch_norm_grad_part, &job);
    give_back(slope);
    return failed;
}

// Running statistics move towards a batch's: its mean, and the variance that r = 1 / sqrt(var + eps) stands for. The
// number of batches grows by 1.
EXPORT int track(
    float *running_mean, float *running_var, int64_t *batches, const float *mean, const float *r, float unbiased,
    double momentum, float eps, int64_t columns) {
    float kept = (float)(1 - momentum), toward = (float)momentum;
    for (int64_t c = 0; c < columns; c++) {
        float var = 1 / (r[c] * r[c]) - eps;
        var = (var > 0 || var != var ? var : 0) * unbiased;
        running_mean[c] = running_mean[c] * kept + mean[c] * toward;
        running_var[c] = running_var[c] * kept + var * toward;
    }
    *batches += 1;
    return 0;
}

// z = (x - mean) scale + shift, values of each column of each sample; shift is 0 where it is not given
EXPORT int sample_affine(
    const float *x, const float *mean, const float *scale, const float *shift, float *z, int64_t samples, int64_t rows,
    int64_t columns) {
    struct columns job = {x, NULL, {mean, scale, shift, NULL}, z, samples, rows, columns, 0};
    return in_rows(shift ? batch_norm_part : scaled_part, &job);
}
