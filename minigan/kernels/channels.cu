// Statistics and normalisation of each column of a matrix: of each channel, when rows are pixels.
//
// A sum over all rows is taken in two steps, so that the order of additions, and with it every bit of the result,
// depends on the shape alone: blocks sum parts of the rows, then one block sums the parts.
#include "common.cuh"

#define THREADS 256

// The sum of `value` over the threads of a block that share threadIdx.x; valid where threadIdx.y is 0.
__device__ inline real sum_of_column(real value) {
    __shared__ real held[THREADS];
    int me = threadIdx.y * blockDim.x + threadIdx.x;
    held[me] = value;
    __syncthreads();
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y < half) held[me] += held[me + half * blockDim.x];
        __syncthreads();
    }
    return held[threadIdx.x];
}

#define COLUMN (blockIdx.x * blockDim.x + threadIdx.x)
// Unrolled, so that a thread asks for several rows before it adds the first.
#define END_OF_PART ((blockIdx.y + 1) * step < rows ? (blockIdx.y + 1) * step : rows)
#define EACH_ROW_OF_PART(r)  \
    _Pragma("unroll 8") for (int64 r = blockIdx.y * step + threadIdx.y, end = END_OF_PART; r < end; r += blockDim.y)

// parts[p, c] = sum over the p-th `step` rows of x[r, c]
extern "C" __global__ void part_sums(const real* x, real* parts, int64 rows, int64 columns, int64 step) {
    int64 c = COLUMN;
    real sum = 0;
    if (c < columns) EACH_ROW_OF_PART(r) sum += x[r * columns + c];
    sum = sum_of_column(sum);
    if (threadIdx.y == 0 && c < columns) parts[blockIdx.y * columns + c] = sum;
}

// parts[p, c] = sum over the p-th `step` rows of (x[r, c] - mean[c])^2
extern "C" __global__ void part_squares(
    const real* x, const real* mean, real* parts, int64 rows, int64 columns, int64 step) {
    int64 c = COLUMN;
    real sum = 0, centre = c < columns ? mean[c] : 0;
    if (c < columns) EACH_ROW_OF_PART(r) {
        real d = x[r * columns + c] - centre;
        sum += d * d;
    }
    sum = sum_of_column(sum);
    if (threadIdx.y == 0 && c < columns) parts[blockIdx.y * columns + c] = sum;
}

// parts[p, c] = sum over the p-th `step` rows of a[r, c] b[r, c]; where `alone` is given, there the sum of a[r, c] too
extern "C" __global__ void part_products(
    const real* a, const real* b, real* parts, real* alone, int64 rows, int64 columns, int64 step) {
    int64 c = COLUMN;
    real sum = 0, plain = 0;
    if (c < columns) EACH_ROW_OF_PART(r) {
        real v = a[r * columns + c];
        sum += v * b[r * columns + c];
        plain += v;
    }
    sum = sum_of_column(sum);
    if (alone) plain = sum_of_column(plain);
    if (threadIdx.y == 0 && c < columns) {
        parts[blockIdx.y * columns + c] = sum;
        if (alone) alone[blockIdx.y * columns + c] = plain;
    }
}

// The sum over p of parts[p, c], for the thread's column c; valid where threadIdx.y is 0.
__device__ inline real sum_of_parts(const real* parts, int64 count, int64 columns) {
    int64 c = COLUMN;
    real sum = 0;
    if (c < columns) {
        _Pragma("unroll 8") for (int64 p = threadIdx.y; p < count; p += blockDim.y) sum += parts[p * columns + c];
    }
    return sum_of_column(sum);
}

// total[k, c] = scale * sum over p of parts[k, p, c]; blockIdx.y is k
extern "C" __global__ void total_of_parts(const real* parts, real* total, int64 count, int64 columns, real scale) {
    real sum = sum_of_parts(parts + blockIdx.y * count * columns, count, columns);
    if (threadIdx.y == 0 && COLUMN < columns) total[blockIdx.y * columns + COLUMN] = scale * sum;
}

// r[c] = 1 / sqrt(var + eps), var = scale * sum over p of parts[p, c]
extern "C" __global__ void inverse_root_of_parts(
    const real* parts, real* r, int64 count, int64 columns, real scale, real eps) {
    real sum = sum_of_parts(parts, count, columns);
    if (threadIdx.y == 0 && COLUMN < columns) r[COLUMN] = 1 / sqrt(scale * sum + eps);
}

// y = (x - mean) scale for each column
extern "C" __global__ void normalize(
    const real* x, const real* mean, const real* scale, real* y, int64 n, int64 columns) {
    EACH(i, n) {
        int c = last(i, columns);
        y[i] = (x[i] - mean[c]) * scale[c];
    }
}

// z = y w + b for each column
extern "C" __global__ void scale_shift(const real* y, const real* w, const real* b, real* z, int64 n, int64 columns) {
    EACH(i, n) {
        int c = last(i, columns);
        z[i] = y[i] * w[c] + b[c];
    }
}

// x = scale (g - mean_g - y mean_gy) for each column
extern "C" __global__ void normalize_grad(
    const real* g, const real* y, const real* mean_g, const real* mean_gy, const real* scale, real* x, int64 n,
    int64 columns) {
    EACH(i, n) {
        int c = last(i, columns);
        x[i] = scale[c] * (g[i] - y[i] * mean_gy[c] - mean_g[c]);
    }
}

// Running statistics move towards a batch's: its mean, and the variance that r = 1 / sqrt(var + eps) stands for.
extern "C" __global__ void track(
    real* running_mean, real* running_var, const real* mean, const real* r, real unbiased, real momentum, real eps,
    int64 columns) {
    EACH(c, columns) {
        real var = 1 / (r[c] * r[c]) - eps;
        var = (var > 0 ? var : 0) * unbiased;
        running_mean[c] = running_mean[c] * (1 - momentum) + mean[c] * momentum;
        running_var[c] = running_var[c] * (1 - momentum) + var * momentum;
    }
}
