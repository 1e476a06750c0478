// Where a convolution's windows lie, and copies of them: each a row of floats in the order (i, j, channel).
#ifndef WINDOWS_H
#define WINDOWS_H

#include "common.h"

// The three shapes of a convolution and how its windows step, as in geometry.py: x (n, c, h, w) is the larger image,
// y (n, o, oh, ow) the smaller one, w (o, c / groups, kh, kw) the kernel. All three lie with their channels last.
struct geometry {
    int64_t n, c, h, w, kh, kw, o, oh, ow, sh, sw, top, left, dh, dw, groups;
};

// Windows on images of one size, or on some channels of them. What is outside of the image counts as zeros.
struct windows {
    int64_t height, width, pixel;   // of an image: rows and columns of pixels, floats from one pixel to the next
    int64_t channels;               // of each pixel that are in a window
    int64_t kh, kw, dh, dw;         // rows and columns of a window, and how far apart they are in the image
    int64_t sh, sw;                 // how far the next window is
    int64_t top, left;              // pixels of the first window that are above and left of the image; may be negative
    int64_t rows, columns;          // how many windows there are
};

// The windows of one group of a convolution on x.
struct windows windows_of(const struct geometry *s);

// Floats of a window.
INLINE int64_t window_size(const struct windows *v) { return v->kh * v->kw * v->channels; }

// A part of an image with everything that some rows of windows see.
struct view {
    const float *at;  // the first pixel of the first window; pixels of `channels` floats, or of `pixel`
    int64_t row, pixel;
};

// Floats of the copy that `view` may need for so many rows of windows, with LANES more that may be read past it.
int64_t view_size(const struct windows *v, int64_t rows);

// Rows first .. first + rows of the windows on `image`: the image itself where they lie inside of it and all its
// channels are in them, else a copy. Up to LANES floats past its end may be read only if `copied` is asked for.
struct view view(
    const struct windows *v, const float *image, int64_t first, int64_t rows, int copied, float *copy);

// Floats from one copied window to the next, at least: its last run is copied in whole vectors.
INLINE int64_t copy_stride(const struct windows *v) {
    int64_t run = v->dw == 1 ? v->kw * v->channels : v->channels;
    return window_size(v) - smaller(run, window_size(v)) + round_up(run, LANES);
}

// Copies `count` windows, row by row from (row, column) of the view on, each `stride` floats after the one before.
void copy_windows(
    const struct windows *v, struct view seen, int64_t row, int64_t column, int64_t count, float *to, int64_t stride);

#endif
