// The three faces of a convolution as matrix products whose operands are windows of images: no matrix of windows is
// written. `first` is the first channel of x, `first_o` of y, in the group; `c` and `o` are how many the group has.
#include "common.cuh"
#include "operands.cuh"
#if defined(TF32) || defined(BF16)
#include "bfloat16.cuh"
#include "pipeline.cuh"
#else
#include "tile.cuh"
#endif

// A window: its upper left corner, which may be outside, and which taps are inside: bit i stands for those in row i,
// bit 16 + j for those in column j. No window at all has no bits.
struct Window {
    const real* corner;
    unsigned inside;
};

// An element of a window.
struct Tap {
    int i, j, c;
};

// The windows of images (n, h, w, channels) as rows (n, down, across), their elements (i, j, c) along the depth. From
// window to window and from tap to tap it is so many pixels down or across; taps may go backwards. At most 16 taps
// lie in a row or column.
struct Windows {
    static const bool along_depth = true;
    typedef Window Row;
    typedef Tap Depth;
    const real* start;
    int n, h, w, channels, c;
    int down, across, first_row, first_col, window_down, window_across;
    int taps_down, taps_across, tap_down, tap_across;

    __device__ Row row(int m) const {
        int image = m / across / down;
        int row = first_row + m / across % down * window_down, col = first_col + m % across * window_across;
        unsigned inside = 0;
        for (int i = 0; i < taps_down; i++)
            if ((unsigned)(row + i * tap_down) < (unsigned)h) inside |= 1u << i;
        for (int j = 0; j < taps_across; j++)
            if ((unsigned)(col + j * tap_across) < (unsigned)w) inside |= 1u << (16 + j);
        return {start + (((int64)image * h + row) * w + col) * channels, image < n ? inside : 0};
    }
    __device__ Depth depth(int k) const { return {k / c / taps_across, k / c % taps_across, k % c}; }
    __device__ void advance(Depth& tap, int n) const {
        for (tap.c += n; tap.c >= c; tap.c -= c)
            if (++tap.j == taps_across) {
                tap.j = 0;
                tap.i++;
            }
    }
    __device__ bool at(const Row& window, const Depth& tap, const real*& element) const {
        element = window.corner + ((int64)(tap.i * tap_down * w + tap.j * tap_across) * channels + tap.c);
        unsigned both = 1u << (tap.i & 15) | 1u << (16 + tap.j);  // beyond the last element i may be anything
        return (window.inside & both) == both;
    }
};

// The windows of x: how y = conv(x, w) sees it.
__device__ inline Windows windows_of(const real* x, const Geometry& s, int c) {
    return {x, s.n, s.h, s.w, s.c, c, s.oh, s.ow, -s.top, -s.left, s.sh, s.sw, s.kh, s.kw, s.dh, s.dw};
}

// The same with windows along the depth, told apart by their image, row and column: to go on needs no division.
struct Walk {
    int image, i, j;
};

// Where an element of a window lies as seen from the corner: in pixels, and in memory.
struct Place {
    int row, col;
    int64 offset;
};

struct WindowsAcross {
    static const bool along_depth = false;
    typedef Place Row;
    typedef Walk Depth;
    Windows of;
    int elements;  // of a window
    __device__ Row row(int q) const {
        Tap tap = of.depth(q);
        int row = tap.i * of.tap_down, col = tap.j * of.tap_across;
        int64 offset = (int64)(row * of.w + col) * of.channels + tap.c;
        return {q < elements ? row : of.h - of.first_row, col, offset};  // or outside from every window
    }
    __device__ Depth depth(int m) const {
        return {m / of.across / of.down, m / of.across % of.down, m % of.across};
    }
    __device__ void advance(Depth& walk, int n) const {
        for (walk.j += n; walk.j >= of.across; walk.j -= of.across)
            if (++walk.i == of.down) {
                walk.i = 0;
                walk.image++;
            }
    }
    __device__ bool at(const Row& place, const Depth& walk, const real*& element) const {
        int row = of.first_row + walk.i * of.window_down, col = of.first_col + walk.j * of.window_across;
        element = of.start + (((int64)walk.image * of.h + row) * of.w + col) * of.channels + place.offset;
        return (unsigned)(row + place.row) < (unsigned)of.h && (unsigned)(col + place.col) < (unsigned)of.w;
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) conv(
    const real* x, const real* w, const real* bias, real* y, Geometry s, int64 first, int64 c, int64 first_o, int64 o) {
    int m = s.n * s.oh * s.ow, depth = s.kh * s.kw * (int)c;
    Windows left = windows_of(x + first, s, c);
    Matrix<true> right = {w, (int)o, depth, 1};
    Rows out = {y + first_o, s.o, bias ? bias + first_o : nullptr};
    product_tile(left, right, out, m, o, 0, depth);
}

// parts[z] (o, kh kw c) = the sum over the z-th `step` pixels of y^T windows
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) conv_weight(
    const real* x, const real* y, real* parts, Geometry s, int64 first, int64 c, int64 first_o, int64 o, int64 step) {
    int pixels = s.n * s.oh * s.ow, n = s.kh * s.kw * (int)c;
    int from = blockIdx.z * step, to = min((int64)pixels, from + step);
    Matrix<false> left = {y + first_o, (int)o, 1, s.o};
    WindowsAcross right = {windows_of(x + first, s, c), n};
    Rows out = {parts + blockIdx.z * o * n, n, nullptr};
    product_tile(left, right, out, o, n, from, to);
}

// The taps of one axis that meet the pixels congruent to `phase` modulo the stride: every `every`-th from `first` on.
struct Taps {
    int first, every, count;
    __device__ Taps(int phase, int pad, int kernel, int dilation, int stride) {
        every = 1;
        while (every * dilation % stride) every++;
        first = 0;
        while (first < every && (phase + pad - first * dilation) % stride) first++;
        count = first < every && first < kernel ? (kernel - first + every - 1) / every : 0;
    }
};

// The kernel matrix (o, kh kw c) with its columns as rows; (tap, tap, o) along the depth, only some of the taps.
struct KernelAcross {
    static const bool along_depth = false;
    typedef int Row;
    struct Depth {
        int tap, j, o;
    };
    const real* start;
    Taps down, across;
    int taps, kw, o, c;
    __device__ Row row(int i) const { return i; }
    __device__ Depth depth(int k) const {
        int j = k / o % across.count, i = k / o / across.count;
        return {(down.first + i * down.every) * kw + across.first + j * across.every, j, k % o};
    }
    __device__ void advance(Depth& at, int n) const {
        for (at.o += n; at.o >= o; at.o -= o) {
            at.tap += across.every;
            if (++at.j == across.count) {
                at.j = 0;
                at.tap += down.every * kw - across.count * across.every;
            }
        }
    }
    __device__ bool at(Row row, const Depth& at, const real*& element) const {
        element = start + (int64)(at.o * taps + at.tap) * c + row;
        return row < c;
    }
};

// The pixels of x at one phase of the stride: rows (n, down, across) that begin at (top, left).
struct Pixels {
    typedef real* Row;
    real* x;
    const Geometry& s;
    const real* bias;
    int top, left, down, across;
    __device__ Row row(int m) const {
        int h = top + m / across % down * s.sh, w = left + m % across * s.sw;
        int64 image = m / across / down;
        return x + ((image * s.h + h) * s.w + w) * s.c;
    }
    __device__ void put_two(Row row, int column, int n, real a, real b) const { write_two(row, column, n, bias, a, b); }
};

// w is the group's kernel matrix (o, kh kw c). blockIdx.z is the phase of the stride: the pixels of x that lie there
// all meet the same taps, and the elements of y that they meet are windows that go backwards.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) conv_input(
    const real* w, const real* y, const real* bias, real* x, Geometry s, int64 first, int64 c, int64 first_o,
    int64 o) {
    int top = blockIdx.z / s.sw, left = blockIdx.z % s.sw;
    int rows = (s.h - top + s.sh - 1) / s.sh, cols = (s.w - left + s.sw - 1) / s.sw;
    if (rows <= 0 || cols <= 0) return;  // x is smaller than the stride
    Taps down(top, s.top, s.kh, s.dh, s.sh), across(left, s.left, s.kw, s.dw, s.sw);
    Windows meeting = {y + first_o, s.n, s.oh, s.ow, s.o, (int)o, rows, cols,
                       (top + s.top - down.first * s.dh) / s.sh, (left + s.left - across.first * s.dw) / s.sw, 1, 1,
                       down.count, across.count, -(down.every * s.dh / s.sh), -(across.every * s.dw / s.sw)};
    KernelAcross right = {w, down, across, s.kh * s.kw, s.kw, (int)o, (int)c};
    Pixels out = {x + first, s, bias ? bias + first : nullptr, top, left, rows, cols};
    product_tile(meeting, right, out, s.n * rows * cols, c, 0, down.count * across.count * (int)o);
}
