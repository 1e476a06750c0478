// A convolution with fewer multiplications (Winograd 1980, Lavin and Gray 2016): the mathematics, and its transforms.
//
// The trilinear form T(x, w, y) of ops/conv.py can be computed tile by tile, m x m pixels of y at a time, as
//
//     T(x, w, y) = sum over tiles and k, l of <V_kl U_kl^T, E_kl>
//     V = B x B^T (R x R pixels to R x R)    U = G w G^T (r x r taps to R x R)    E = A y A^T (m x m pixels to R x R)
//
// with R = m + r - 1: a tile of y is the product of two polynomials, whose values at R points are multiplied one by one
// (Toom and Cook). A and G are the powers of the points, B interpolates. For each k, l a channel of x meets a channel
// of y in one number, so that V_kl, U_kl and E_kl are matrices: a row for each tile, or a row and a column for the
// kernel. A face transforms the two slots that it is given, multiplies R^2 pairs of matrices and applies the
// transpose of the third transform:
//
//     y = A^T (V U^T) A        x = B^T (E U) B        w = G^T (E^T V) G
//
// A direct convolution needs m^2 r^2 multiplications for a tile, this one R^2: F(2, 2) makes 9 of 16, F(4, 2) 25 of 64,
// F(2, 3) 16 of 36, F(4, 5) 64 of 400. Larger tiles round worse, since they sum larger terms that cancel.
//
// A convolution of stride s is one of stride 1 over s x s times the channels, the phases of the image, with a kernel of
// r = k / s taps; so a 4 x 4 kernel with stride 2 has two taps. The tiles of x overlap by r - 1 pixels.
//
// An infinity or a NaN in x, w or y reaches the whole tile, not only the pixels whose windows see it.
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "common.h"

// Pixels that a transform reads or writes: (i, j) is a run of floats at `at` + i down + j across.
struct tile {
    float *at;
    int64_t down, across;
};

// to = M from M^T for each float of the run, a multiple of LANES.
typedef void transform_fn(struct tile from, struct tile to, int64_t run);

// The same, then what comes after a convolution: bias added where it is not NULL, negative results times slope.
typedef void finish_fn(struct tile from, struct tile to, int64_t run, const float *bias, float slope);

// F(m, r).
struct algorithm {
    int64_t m, r;
    transform_fn *image, *add_image;      // V = B x B^T, x += B^T V B
    transform_fn *result;                 // E = A y A^T
    finish_fn *finish;                    // y = A^T E A
    transform_fn *kernel, *kernel_back;   // U = G w G^T, w = G^T U G
};

// NULL if there is none for these.
const struct algorithm *find_algorithm(int64_t m, int64_t r);

#endif
