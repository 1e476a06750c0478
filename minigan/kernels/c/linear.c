// Products of matrices of any strides: y (m x n) = act(a b + bias), act as `activated` in product.h.
//
// The micro-kernel wants the rows of one factor along k, and the other factor in strips. Which is which decides what
// has to be copied first. Straight, strips of b meet rows of a. Turned, strips of a's rows meet the columns of b, and
// what they make is the transpose of y, which is turned back. The cheaper one is taken: of x w^T with a large w,
// no more is copied than x and y.
//
// Threads share the columns of y, each packing the strips that it needs, some hundred k at a time, so that they stay
// in its cache; or, where strips are few, its rows, and all strips are packed before.
#include "product.h"

#define DEPTH 768       // of what is multiplied at a time, at most
#define PACKED 32       // of them that are packed at a time
#define GROUP 4         // strips that are multiplied with the same rows, at most
#define PARTS_EACH 4    // parts for each thread, if there are so many: a slow core holds up no more than its last one
#define TURNED_ROWS (4 * ROWS)  // of the transpose of y that are turned back together

struct matrix {
    const float *at;  // (i, j) is at[i * row + j * column]
    int64_t row, column;
};

struct job {
    struct matrix a, b;      // of m rows, and of n columns; exchanged and transposed, if y is turned
    int64_t m, n, depth;
    float *rows, *strips;    // a with k along its rows, and b packed, where they are copied beforehand; or NULL
    float *y;                // m x n, or its transpose if it is turned, rows of y_row floats
    int64_t y_row;
    int turned;
    const float *bias;
    float slope;
    int64_t depth_each, rows_each, strips_each, groups;  // of a part; groups of strips
};

static struct matrix transposed(struct matrix x) { return (struct matrix){x.at, x.column, x.row}; }

// Copies some rows of a so that k goes along them.
static void copy_rows(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)scratch;
    struct job *j = job;
    int64_t first = j->m * part / parts, end = j->m * (part + 1) / parts;
    const float *a = j->a.at + first * j->a.row;
    if (j->a.row == 1) {
        transpose(a, j->a.column, j->depth, end - first, j->rows + first * j->depth, j->depth);
        return;
    }
    for (int64_t i = first; i < end; i++, a += j->a.row)
        for (int64_t k = 0; k < j->depth; k++) j->rows[i * j->depth + k] = a[k * j->a.column];
}

// Packs the strips of the columns left .. right, `length` k from k on. A few k at a time, since rows of b may lie a
// page of memory apart.
static void pack(const struct job *j, int64_t left, int64_t right, int64_t k, int64_t length, float *strips) {
    for (int64_t q = 0; q < length; q += PACKED)
        for (int64_t column = left; column < right; column += WIDTH) {
            int64_t columns = smaller(j->n - column, WIDTH);
            pack_strip(
                j->b.at + (k + q) * j->b.row + column * j->b.column, j->b.row, j->b.column, smaller(PACKED, length - q),
                columns, strips + (column - left) * j->depth_each + q * strip_width(columns));
        }
}

static void pack_one_strip(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)parts, (void)scratch;
    struct job *j = job;
    int64_t column = part * WIDTH, right = smaller(column + WIDTH, j->n), width = strip_width(right - column);
    for (int64_t k = 0; k < j->depth; k += j->depth_each)
        pack(j, column, right, k, smaller(j->depth_each, j->depth - k), j->strips + column * j->depth + k * width);
}

// Writes the rows first .. end of the transpose of y, which lie at `found`, into y.
static void turn_back(const struct job *j, const float *found, int64_t found_row, int64_t first, int64_t end) {
    int64_t rows = end - first;
    transpose(found, found_row, rows, j->n, j->y + first, j->y_row);
    if (!j->bias && j->slope == 1) return;
    for (int64_t i = 0; i < j->n; i++) {
        float *y = j->y + i * j->y_row + first;
        for (int64_t c = 0; c < rows; c += LANES) {
            int64_t some = smaller(rows - c, LANES);
            vec x = load_part(y + c, some);
            if (j->bias) x += load_part(j->bias + first + c, some);
            store_part(y + c, activated(x, j->slope), some);
        }
    }
}

static void multiply(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)parts;
    struct job *j = job;
    int64_t first = part / j->groups * j->rows_each, end = smaller(first + j->rows_each, j->m);
    int64_t left = part % j->groups * j->strips_each * WIDTH, right = smaller(left + j->strips_each * WIDTH, j->n);
    int64_t y_row = j->turned ? round_up(j->n, LANES) : j->y_row;
    float *y = j->turned ? scratch - first * y_row : j->y;
    const float *rows[ROWS];
    float *results[ROWS];
    struct product_tile t = {.a = rows, .runs = 1, .y = results, .slope = 1};
    for (int64_t k = 0; k < j->depth; k += j->depth_each) {
        t.length = smaller(j->depth_each, j->depth - k);
        t.add = k > 0;
        if (k + t.length == j->depth && !j->turned) {
            t.bias = j->bias;
            t.slope = j->slope;
        }
        if (!j->strips) pack(j, left, right, k, t.length, scratch);
        for (int64_t i = first; i < end; i += ROWS) {
            t.rows = smaller(end - i, ROWS);
            for (int64_t r = 0; r < t.rows; r++) {
                rows[r] = j->a.at + (i + r) * j->a.row + k;
                results[r] = y + (i + r) * y_row;
            }
            for (t.j = left; t.j < right; t.j += WIDTH) {
                t.b = j->strips ? j->strips + t.j * j->depth + k * strip_width(j->n - t.j)
                                : scratch + (t.j - left) * j->depth_each;
                t.columns = smaller(j->n - t.j, WIDTH);
                product_tile(&t);
            }
        }
    }
    if (j->turned) turn_back(j, y + first * y_row, y_row, first, end);
}

// Floats that are copied on the straight way: strips of b, and a if k does not go along its rows.
static int64_t copied(struct matrix a, int64_t m, int64_t n, int64_t depth) {
    return n * depth + (a.column == 1 ? 0 : m * depth);
}

// Decides who shares what. The number of parts.
static int64_t plan(struct job *j) {
    int64_t strips = ceil_div(j->n, WIDTH), wanted = threads() * PARTS_EACH;
    j->depth_each = ceil_div(j->depth, ceil_div(j->depth, DEPTH));
    if (strips >= wanted && !j->turned) {
        j->rows_each = j->m;
        j->strips_each = smaller(strips / wanted, GROUP);
    } else {
        j->rows_each = round_up(ceil_div(j->m, wanted), ROWS);
        if (j->turned) j->rows_each = smaller(j->rows_each, TURNED_ROWS);
        j->strips_each = strips;
    }
    j->groups = ceil_div(strips, j->strips_each);
    return j->groups * ceil_div(j->m, j->rows_each);
}

static int compute(struct job *j) {
    int64_t parts = plan(j), scratch = 0;
    if (j->a.column != 1) {
        if (!(j->rows = borrow(j->m * j->depth))) return 1;
        if (share(copy_rows, j, smaller(threads() * PARTS_EACH, ceil_div(j->m, LANES)), 0)) return 1;
        j->a = (struct matrix){j->rows, j->depth, 1};
    }
    if (j->rows_each < j->m || j->turned) {
        if (!(j->strips = borrow(packed_size(j->depth, j->n)))) return 1;
        if (share(pack_one_strip, j, ceil_div(j->n, WIDTH), 0)) return 1;
    } else {
        scratch = j->strips_each * WIDTH * j->depth_each;
    }
    if (j->turned) scratch = j->rows_each * round_up(j->n, LANES);
    return share(multiply, j, parts, scratch);
}

// y (m x n, rows one after the other) = act(a b + bias); element (i, k) of a is a[i * a_row + k * a_column], that of b
// (k, j) likewise. m, n and depth are at least 1; bias may be NULL.
EXPORT int matrix_product(
    const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, int64_t b_column,
    const float *bias, float slope, float *y, int64_t m, int64_t n, int64_t depth) {
    struct job j = {
        .a = {a, a_row, a_column}, .b = {b, b_row, b_column}, .m = m, .n = n, .depth = depth,
        .y = y, .y_row = n, .bias = bias, .slope = slope,
    };
    struct matrix columns = transposed(j.b);
    j.turned = copied(columns, n, m, depth) + m * n < copied(j.a, m, n, depth);
    if (j.turned) {
        j.b = transposed(j.a);
        j.a = columns;
        j.m = n;
        j.n = m;
    }
    int no_memory = compute(&j);
    give_back(j.rows);
    give_back(j.strips);
    return no_memory;
}
