// The micro-kernel: a tile of a product of two matrices, its sums in registers.
//
//     y[i][j] = act(sum over k of a[i][k] b[k][j] + bias[j])       for `rows` x `columns` elements of y
//
// Each step of k multiplies one float of each of ROWS rows with two vectors of b, and adds to ROWS x 2 vectors of
// sums: as many as the processor has registers for, since each of them is a chain of additions that wait for each
// other. The two vectors are read once for ROWS rows, so that arithmetic, not memory, sets the pace.
//
// There are two forms. `product_tile` reads the rows of a by pointers, along k, and b from a packed panel: products,
// convolutions (a row is a window, whose floats lie in several runs), Winograd. `outer_tile` reads a and b both across
// k, as they lie: sums over pixels or over a batch, that is, gradients of weights.
#ifndef PRODUCT_H
#define PRODUCT_H

#include "common.h"

#if LANES == 16 || defined(__aarch64__)
#define ROWS 12  // of a tile: 24 vectors of sums in 32 registers
#else
#define ROWS 6  // 12 in 16
#endif
#define WIDTH (2 * LANES)  // columns of a tile

// --- panels: b (depth x n) in strips of WIDTH columns; the strip of column j begins at b + j * depth -----------------
//
// A strip holds its columns of one k side by side, then those of the next. The last one has LANES columns if that is
// enough, and zeros where b has none.

// Floats between one k and the next in a strip that has `columns` columns of b in it or more.
INLINE int64_t strip_width(int64_t columns) { return columns <= LANES ? LANES : WIDTH; }

// Floats of all strips of n columns.
INLINE int64_t packed_size(int64_t depth, int64_t n) { return round_up(n, LANES) * depth; }

// Writes one strip: `columns` <= WIDTH columns of b[k * b_row + j * b_column], k < depth.
void pack_strip(const float *b, int64_t b_row, int64_t b_column, int64_t depth, int64_t columns, float *strip);

// out[j * out_row + i] = x[i * x_row + j]: transposes `rows` x `columns` floats.
void transpose(const float *x, int64_t x_row, int64_t rows, int64_t columns, float *out, int64_t out_row);

// x where x > 0, slope * x elsewhere: leaky ReLU, ReLU with slope 0 (then -infinity becomes 0), nothing with slope 1.
INLINE vec activated(vec x, float slope) {
    if (slope == 1) return x;
    vec negative = {0};
    if (slope != 0) negative = slope * x;
    return choose(x <= 0, negative, x);
}

// --- products ----------------------------------------------------------------------------------------------------

struct product_tile {
    const float *const *a;  // where each row begins
    int64_t rows;           // 1 .. ROWS
    int64_t runs, step, length;  // k goes along `runs` runs of `length` floats, which begin `step` floats apart
    const float *b;              // the strip of column j: runs * length lines
    float *const *y;             // where each row of the result begins, at its column 0
    int64_t j, columns;          // the first column of the tile, and how many it has: 1 .. WIDTH
    const float *bias;           // of each column, from 0 on; or NULL
    int add;                     // true if what is in y is added
    float slope;                 // of act, see `activated`; 1 for none
};

void product_tile(const struct product_tile *t);

// y (m x n) = a b, or y + a b if `add`: rows of a at distance a_row, b in strips, rows of y at distance y_row.
void product(
    const float *a, int64_t a_row, const float *b, float *y, int64_t y_row, int64_t m, int64_t n, int64_t depth,
    int add);

// --- outer products -------------------------------------------------------------------------------------------------

// y[i * y_row + j] (+)= sum over lines l and steps k of
//     a[l * a_line + k * a_step + i] b[l * b_line + k * b_step + j]
// for `rows` x `columns` elements. b is read in whole vectors: up to LANES - 1 floats past its last column must be
// there, whatever they hold. y is not touched past its last column.
struct outer_tile {
    const float *a, *b;
    int64_t a_line, a_step, b_line, b_step;
    int64_t lines, steps;
    int64_t rows, columns;  // 1 .. ROWS, 1 .. WIDTH
    float *y;
    int64_t y_row;
    int add;
};

void outer_tile(const struct outer_tile *t);

#endif
