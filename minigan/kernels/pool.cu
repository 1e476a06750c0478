// Windows over each channel of an image. A winner is its row-major position in the window.
#include "common.cuh"

#define EACH_TAP(i, j) \
    for (int i = 0; i < s.kh; i++) \
        for (int j = 0; j < s.kw; j++)

// The channel, column, row and image of the e-th element of channels-last images of height h and width w.
struct Place {
    int c, col, row, image;
    __device__ Place(int64 e, int channels, int h, int w) {
        c = take(e, channels);
        col = take(e, w);
        row = take(e, h);
        image = e;
    }
};

// The index in x of element (i, j) of y's window at p.
__device__ inline int64 under(const Geometry& s, const Place& p, int i, int j) {
    return ((p.image * (int64)s.h + p.row * s.sh + i * s.dh) * s.w + p.col * s.sw + j * s.dw) * s.c + p.c;
}

// The index in y of the window whose element (i, j) lies at p in x; -1 if there is none.
__device__ inline int64 above(const Geometry& s, const Place& p, int i, int j) {
    int row = window_at(p.row, 0, i, s.dh, s.sh, s.oh), col = window_at(p.col, 0, j, s.dw, s.sw, s.ow);
    return row < 0 || col < 0 ? -1 : ((p.image * (int64)s.oh + row) * s.ow + col) * s.c + p.c;
}

extern "C" __global__ void pool_max(const real* x, real* y, Geometry s, int64 n) {
    EACH(e, n) {
        Place p(e, s.c, s.oh, s.ow);
        real best = x[under(s, p, 0, 0)];
        EACH_TAP(i, j) {
            real v = x[under(s, p, i, j)];
            if (v > best || v != v) best = v;
        }
        y[e] = best;
    }
}

// The number of elements before the first that equals the maximum of the window at p; a NaN is larger than any number.
__device__ inline int winner_of(const real* x, real maximum, const Geometry& s, const Place& p) {
    int k = 0;
    for (int last = s.kh * s.kw - 1; k < last; k++) {
        real v = x[under(s, p, k / s.kw, k % s.kw)];
        if (v == maximum || v != v) break;
    }
    return k;
}

extern "C" __global__ void pool_winner(const real* x, const real* y, unsigned char* winner, Geometry s, int64 n) {
    EACH(e, n) winner[e] = winner_of(x, y[e], s, Place(e, s.c, s.oh, s.ow));
}

// out = 0, and each g added where its window's winner is: a pixel finds out by itself which windows over it it has won.
extern "C" __global__ void pool_max_grad(
    const real* g, const real* x, const real* y, real* out, Geometry s, int64 n) {
    EACH(e, n) {
        Place p(e, s.c, s.h, s.w);
        real sum = 0;
        EACH_TAP(i, j) {
            int64 window = above(s, p, i, j);
            if (window < 0 || winner_of(x, y[window], s, Place(window, s.c, s.oh, s.ow)) != i * s.kw + j) continue;
            sum += g[window];
        }
        out[e] = sum;
    }
}

extern "C" __global__ void pool_take(const real* x, const unsigned char* winner, real* y, Geometry s, int64 n) {
    EACH(e, n) {
        Place p(e, s.c, s.oh, s.ow);
        y[e] = x[under(s, p, winner[e] / s.kw, winner[e] % s.kw)];
    }
}

extern "C" __global__ void pool_sum(const real* x, real* y, Geometry s, int64 n) {
    EACH(e, n) {
        Place p(e, s.c, s.oh, s.ow);
        real sum = 0;
        EACH_TAP(i, j) sum += x[under(s, p, i, j)];
        y[e] = sum;
    }
}

extern "C" __global__ void pool_spread(const real* g, real* x, Geometry s, int64 n) {
    EACH(e, n) {
        Place p(e, s.c, s.h, s.w);
        real sum = 0;
        EACH_TAP(i, j) {
            int64 window = above(s, p, i, j);
            if (window >= 0) sum += g[window];
        }
        x[e] = sum;
    }
}
