// The mean of a function of all elements, f(scale x + shift), with its gradient, and the length of each row: what
// losses and penalties are made of, in one launch each.
#include "common.cuh"
#include "functions.cuh"

#define THREADS 256

enum Function { IDENTITY, RELU, SIGMOID, SOFTPLUS, SQUARE };

__device__ inline real value_at(int64 f, real v) {
    switch (f) {
        case RELU: return v > 0 || v != v ? v : 0;
        case SIGMOID: return sigmoid_at(v);
        case SOFTPLUS: return softplus_at(v);
        case SQUARE: return v * v;
        default: return v;
    }
}

// g f'(v)
__device__ inline real slope_at(int64 f, real g, real v) {
    real y;
    switch (f) {
        case RELU: return v > 0 ? g : 0;
        case SIGMOID: y = sigmoid_at(v); return g * (y * (1 - y));
        case SOFTPLUS: return g * sigmoid_at(v);
        case SQUARE: return 2 * g * v;
        default: return g;
    }
}

// The sum of `value` over a block; valid for its first thread.
__device__ inline real sum_of_block(real value) {
    __shared__ real held[THREADS];
    held[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) held[threadIdx.x] += held[threadIdx.x + half];
        __syncthreads();
    }
    return held[0];
}

// sums[block] = weight * sum of f(scale x + shift) over the block's share of x
extern "C" __global__ void sums_of(
    const real* x, real* sums, int64 n, int64 f, real scale, real shift, real weight) {
    real sum = 0;
    EACH(i, n) sum += value_at(f, scale * x[i] + shift);
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = weight * sum;
}

// out = weight * g f'(scale x + shift), g one number
extern "C" __global__ void slopes_of(
    const real* g, const real* x, real* out, int64 n, int64 f, real scale, real shift, real weight) {
    real each = weight * *g;
    EACH(i, n) out[i] = slope_at(f, each, scale * x[i] + shift);
}

// length[r] = sqrt(sum of x[r, c]^2 + eps)
extern "C" __global__ void lengths(const real* x, real* length, int64 rows, int64 columns, real eps) {
    for (int64 r = blockIdx.x; r < rows; r += gridDim.x) {
        real sum = 0;
        for (int64 c = threadIdx.x; c < columns; c += THREADS) sum += x[r * columns + c] * x[r * columns + c];
        sum = sum_of_block(sum);
        if (threadIdx.x == 0) length[r] = sqrt(sum + eps);
    }
}
