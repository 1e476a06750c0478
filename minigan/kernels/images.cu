// Images as networks take them, and a batch of them out of a data set that lives on the device.
#include "common.cuh"

// Rounded twice, as NumPy does: one rounding of both operations would give a pixel other bits than on a CPU.
__device__ inline float in_range(unsigned char pixel) { return __fadd_rn(__fmul_rn(pixel, (float)(1 / 127.5)), -1); }

// out = images (1 / 127.5) - 1
extern "C" __global__ void scaled(const unsigned char* images, real* out, int64 size) {
    EACH(e, size) out[e] = in_range(images[e]);
}

// out[i] = the same of images[order[position + i]]; the position of the k-th batch is read from the device, where k is
extern "C" __global__ void gather_images(
    const unsigned char* images, const int64* order, const int64* k, real* out, int64 per_epoch, int64 batch,
    int64 size) {
    int64 position = *k % per_epoch * batch;
    EACH(e, batch * size) {
        int64 i = e;
        int pixel = take(i, size);
        out[e] = in_range(images[order[position + i] * size + pixel]);
    }
}
