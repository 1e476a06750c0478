// What cuBLAS reads: a matrix that holds every window of images as a row, (n oh ow, kh kw c), by which a convolution is
// one product; and any operand rounded to bfloat16.
//
// PACK neighbours are moved at once: 16 bytes, where their number and place allow it. Where BF16 is defined, windows
// are rounded as they are written.
#include "common.cuh"
#include "bfloat16.cuh"

template <class T>
struct alignas(PACK * sizeof(T) < 16 ? PACK * sizeof(T) : 16) Pack {
    T at[PACK];
};

__device__ inline Pack<bfloat16> to_bfloat16(const Pack<real>& x) {
    Pack<bfloat16> y;
    for (int k = 0; k < PACK; k++) y.at[k] = to_bfloat16((float)x.at[k]);
    return y;
}

#ifdef BF16
typedef bfloat16 Column;
__device__ inline Pack<Column> as_columns(const Pack<real>& x) { return to_bfloat16(x); }
#else
typedef real Column;
__device__ inline const Pack<Column>& as_columns(const Pack<real>& x) { return x; }
#endif

// y = x rounded, n elements in packs, and the same of a second array: both operands of a product in one launch.
extern "C" __global__ void rounded(
    const real* x, bfloat16* y, int64 n, const real* second_x, bfloat16* second_y, int64 second_n) {
    int64 packs = n / PACK;
    EACH(i, packs + second_n / PACK) {
        bool first = i < packs;
        int64 at = first ? i : i - packs;
        Pack<real> found = ((const Pack<real>*)(first ? x : second_x))[at];  // whole: by elements it takes PACK loads
        ((Pack<bfloat16>*)(first ? y : second_y))[at] = to_bfloat16(found);
    }
}

// col[m, (i, j, c)] = x[image, oh stride + i dilation - pad, ..., first + c], zero in the padding; m = (image, oh, ow).
// Threads of a block lie along x over the columns, along y over the rows.
extern "C" __global__ void im2col(const real* x, Column* col, Geometry s, int64 first, int64 channels) {
    const Pack<real>* from = (const Pack<real>*)x;
    Pack<Column>* to = (Pack<Column>*)col;
    channels /= PACK, first /= PACK;
    int width = s.kh * s.kw * (int)channels, all = s.c / PACK;
    int64 rows = (int64)s.n * s.oh * s.ow;
    for (int64 m = blockIdx.x * (int64)blockDim.y + threadIdx.y; m < rows; m += (int64)gridDim.x * blockDim.y) {
        int64 image = m;
        int ow = take(image, s.ow), oh = take(image, s.oh);
        for (int q = threadIdx.x; q < width; q += blockDim.x) {
            int c = q % (int)channels, j = q / (int)channels % s.kw, i = q / (int)channels / s.kw;
            int h = oh * s.sh + i * s.dh - s.top, w = ow * s.sw + j * s.dw - s.left;
            bool inside = h >= 0 && h < s.h && w >= 0 && w < s.w;
            Pack<real> found = inside ? from[((image * s.h + h) * s.w + w) * all + first + c] : Pack<real>{};
            to[m * width + q] = as_columns(found);
        }
    }
}

// The adjoint of im2col: every x gathers, tap by tap, the entries of `col` that came from it, then its bias.
extern "C" __global__ void col2im(
    const real* col, const real* bias, real* x, Geometry s, int64 first, int64 channels) {
    const Pack<real> *from = (const Pack<real>*)col, *shift = (const Pack<real>*)bias;
    Pack<real>* to = (Pack<real>*)x;
    channels /= PACK, first /= PACK;
    int64 width = s.kh * s.kw * channels;
    EACH(e, (int64)s.n * s.h * s.w * channels) {
        int64 image = e;
        int c = take(image, channels), w = take(image, s.w), h = take(image, s.h);
        Pack<real> sum = bias ? shift[first + c] : Pack<real>{};
        for (int i = 0; i < s.kh; i++) {
            int oh = window_at(h, s.top, i, s.dh, s.sh, s.oh);
            if (oh < 0) continue;
            for (int j = 0; j < s.kw; j++) {
                int ow = window_at(w, s.left, j, s.dw, s.sw, s.ow);
                if (ow < 0) continue;
                Pack<real> part = from[((image * s.oh + oh) * s.ow + ow) * width + (i * s.kw + j) * channels + c];
                for (int k = 0; k < PACK; k++) sum.at[k] += part.at[k];
            }
        }
        to[((image * s.h + h) * s.w + w) * (s.c / PACK) + first + c] = sum;
    }
}
