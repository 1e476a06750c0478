// Element by element, each function in one launch instead of the several that array expressions would take.
#include "common.cuh"
#include "functions.cuh"

extern "C" __global__ void leaky_relu(const real* x, real* y, real slope, int64 n) {
    EACH(i, n) y[i] = x[i] > 0 ? x[i] : x[i] < 0 && slope == 0 ? 0 : slope * x[i]; // 0 * infinity: NaN
}

extern "C" __global__ void leaky_relu_grad(const real* g, const real* y, real* out, real slope, int64 n) {
    EACH(i, n) out[i] = y[i] > 0 ? g[i] : slope == 0 ? 0 : slope * g[i];
}

extern "C" __global__ void softplus(const real* x, real* y, int64 n) { EACH(i, n) y[i] = softplus_at(x[i]); }

extern "C" __global__ void sigmoid(const real* x, real* y, int64 n) { EACH(i, n) y[i] = sigmoid_at(x[i]); }

// total = the sum of so many arrays of n elements that lie one behind another
extern "C" __global__ void total_of_slices(const real* parts, real* total, int64 slices, int64 n) {
    EACH(i, n) {
        real sum = 0;
#pragma unroll 4
        for (int64 z = 0; z < slices; z++) sum += parts[z * n + i];
        total[i] = sum;
    }
}
