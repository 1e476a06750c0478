// The three faces of a convolution as matrix products whose operands are windows of images: no matrix of windows is
// written. `first` is the first channel of x, `first_o` of y, in the group; `c` and `o` are how many the group has.
#include "common.cuh"
#include "tile.cuh"

// Where a window lies: its image's first pixel, and its upper left corner, which may be outside.
struct Window {
    int64 pixel;
    int row, col;  // a row far outside stands for no window at all
};

struct Tap {
    int row, col, c;
};

// The windows of x as rows (n oh ow), their elements (i, j, c) along the depth.
struct Windows {
    static const bool along_depth = true;
    typedef Window Row;
    typedef Tap Depth;
    const real* x;
    Geometry s;
    int c;
    __device__ Row row(int m) const {
        int image = m / s.ow / s.oh;
        if (image >= s.n) return {0, 1 << 30, 0};
        return {(int64)image * s.h * s.w, m / s.ow % s.oh * s.sh - s.top, m % s.ow * s.sw - s.left};
    }
    __device__ Depth depth(int q) const { return {q / c / s.kw * s.dh, q / c % s.kw * s.dw, q % c}; }
    __device__ real at(const Row& window, const Depth& tap) const {
        int h = window.row + tap.row, w = window.col + tap.col;
        bool inside = h >= 0 && h < s.h && w >= 0 && w < s.w;
        return inside ? x[(window.pixel + h * s.w + w) * s.c + tap.c] : 0;
    }
};

// The same with windows along the depth, told apart by their image, row and column: to go on needs no division.
struct Walk {
    int image, oh, ow;
};

struct WindowsAcross {
    static const bool along_depth = false;
    typedef Tap Row;
    typedef Walk Depth;
    Windows windows;
    __device__ Row row(int q) const {
        Tap tap = windows.depth(q);
        if (tap.row >= windows.s.kh * windows.s.dh) tap.row = 1 << 30;  // past the last element of a window
        return tap;
    }
    __device__ Depth depth(int m) const {
        const Geometry& s = windows.s;
        return {m / s.ow / s.oh, m / s.ow % s.oh, m % s.ow};
    }
    __device__ void advance(Depth& walk, int n) const {
        const Geometry& s = windows.s;
        for (walk.ow += n; walk.ow >= s.ow; walk.ow -= s.ow)
            if (++walk.oh == s.oh) {
                walk.oh = 0;
                walk.image++;
            }
    }
    __device__ real at(const Row& tap, const Depth& walk) const {
        const Geometry& s = windows.s;
        return windows.at(
            {walk.image * (int64)(s.h * s.w), walk.oh * s.sh - s.top, walk.ow * s.sw - s.left}, tap);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) conv(
    const real* x, const real* w, const real* bias, real* y, Geometry s, int64 first, int64 c, int64 first_o, int64 o) {
    int m = s.n * s.oh * s.ow, depth = s.kh * s.kw * (int)c;
    Windows left = {x + first, s, (int)c};
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
    WindowsAcross right = {{x + first, s, (int)c}};
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

// The pixels of x that lie at one phase of the stride, and what of y and of the kernel reaches them.
struct Phase {
    Geometry s;
    int o, top, left, rows, cols;  // its first pixel and how many there are
    Taps down, across;
    __device__ Phase(const Geometry& s, int o, int z)
        : s(s), o(o), top(z / s.sw), left(z % s.sw), rows((s.h - top + s.sh - 1) / s.sh),
          cols((s.w - left + s.sw - 1) / s.sw), down(top, s.top, s.kh, s.dh, s.sh),
          across(left, s.left, s.kw, s.dw, s.sw) {}
    __device__ int pixels() const { return s.n * rows * cols; }
    __device__ int depth() const { return down.count * across.count * o; }
};

// The elements of y that meet each pixel of a phase, as rows; (tap, tap, o) along the depth.
struct Meeting {
    static const bool along_depth = true;
    typedef Window Row;
    typedef Tap Depth;
    const real* y;
    const Phase& p;
    __device__ Row row(int m) const {
        int image = m / p.cols / p.rows;
        if (image >= p.s.n) return {0, 1 << 30, 0};
        int h = p.top + m / p.cols % p.rows * p.s.sh, w = p.left + m % p.cols * p.s.sw;
        return {(int64)image * p.s.oh * p.s.ow, (h + p.s.top - p.down.first * p.s.dh) / p.s.sh,
                (w + p.s.left - p.across.first * p.s.dw) / p.s.sw};
    }
    __device__ Depth depth(int k) const {
        int j = k / p.o % p.across.count, i = k / p.o / p.across.count;
        return {i * (p.down.every * p.s.dh / p.s.sh), j * (p.across.every * p.s.dw / p.s.sw), k % p.o};
    }
    __device__ real at(const Row& window, const Depth& tap) const {
        int oh = window.row - tap.row, ow = window.col - tap.col;
        bool inside = oh >= 0 && oh < p.s.oh && ow >= 0 && ow < p.s.ow;
        return inside ? y[(window.pixel + oh * p.s.ow + ow) * p.s.o + tap.c] : 0;
    }
};

// The kernel (c, kh, kw, o), only the taps of a phase along the depth.
struct Kernel {
    static const bool along_depth = true;
    typedef const real* Row;
    typedef int Depth;
    const real* w;
    const Phase& p;
    int c;
    __device__ Row row(int i) const { return i < c ? w + (int64)i * p.s.kh * p.s.kw * p.o : nullptr; }
    __device__ Depth depth(int k) const {
        int j = k / p.o % p.across.count, i = k / p.o / p.across.count;
        int tap = (p.down.first + i * p.down.every) * p.s.kw + p.across.first + j * p.across.every;
        return tap * p.o + k % p.o;
    }
    __device__ real at(Row row, Depth depth) const { return row ? row[depth] : 0; }
};

struct Pixels {
    typedef real* Row;
    real* x;
    const Phase& p;
    const real* bias;
    __device__ Row row(int m) const {
        int h = p.top + m / p.cols % p.rows * p.s.sh, w = p.left + m % p.cols * p.s.sw;
        int64 image = m / p.cols / p.rows;
        return x + ((image * p.s.h + h) * p.s.w + w) * p.s.c;
    }
    __device__ void put(Row row, int c, real value) const { row[c] = bias ? value + bias[c] : value; }
};

// blockIdx.z is the phase; w is the group's kernel as (c, kh, kw, o)
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) conv_input(
    const real* w, const real* y, const real* bias, real* x, Geometry s, int64 first, int64 c, int64 first_o,
    int64 o) {
    Phase phase(s, o, blockIdx.z);
    if (!phase.pixels()) return;  // x is smaller than the stride
    Meeting left = {y + first_o, phase};
    Kernel right = {w, phase, (int)c};
    Pixels out = {x + first, phase, bias ? bias + first : nullptr};
    product_tile(left, right, out, phase.pixels(), c, 0, phase.depth());
}
