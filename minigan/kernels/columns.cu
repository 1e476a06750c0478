// Convolution as one matrix product, by way of a matrix that holds every window as a row: (n oh ow, kh kw c).
//
// PACK neighbouring channels are moved at once: 16 bytes, where their number and place allow it.
#include "common.cuh"

struct alignas(PACK * sizeof(real)) Pack {
    real channel[PACK];
};

// col[m, (i, j, c)] = x[image, oh stride + i dilation - pad, ..., first + c], zero in the padding; m = (image, oh, ow).
// Threads of a block lie along x over the columns, along y over the rows.
extern "C" __global__ void im2col(const real* x, real* col, Geometry s, int64 first, int64 channels) {
    const Pack* from = (const Pack*)x;
    Pack* to = (Pack*)col;
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
            to[m * width + q] = inside ? from[((image * s.h + h) * s.w + w) * all + first + c] : Pack{};
        }
    }
}

// The adjoint of im2col: every x gathers, tap by tap, the entries of `col` that came from it, then its bias.
extern "C" __global__ void col2im(
    const real* col, const real* bias, real* x, Geometry s, int64 first, int64 channels) {
    const Pack *from = (const Pack*)col, *shift = (const Pack*)bias;
    Pack* to = (Pack*)x;
    channels /= PACK, first /= PACK;
    int64 width = s.kh * s.kw * channels;
    EACH(e, (int64)s.n * s.h * s.w * channels) {
        int64 image = e;
        int c = take(image, channels), w = take(image, s.w), h = take(image, s.h);
        Pack sum = bias ? shift[first + c] : Pack{};
        for (int i = 0; i < s.kh; i++) {
            int oh = window_at(h, s.top, i, s.dh, s.sh, s.oh);
            if (oh < 0) continue;
            for (int j = 0; j < s.kw; j++) {
                int ow = window_at(w, s.left, j, s.dw, s.sw, s.ow);
                if (ow < 0) continue;
                Pack part = from[((image * s.oh + oh) * s.ow + ow) * width + (i * s.kw + j) * channels + c];
                for (int k = 0; k < PACK; k++) sum.channel[k] += part.channel[k];
            }
        }
        to[((image * s.h + h) * s.w + w) * (s.c / PACK) + first + c] = sum;
    }
}
