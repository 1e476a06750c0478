// Statistics and normalisation of each column of a matrix: of each channel, when rows are pixels.
//
// A sum over all rows is taken by blocks that each sum a part of the rows. The one of them that comes last adds up the
// parts, in their order, so that every bit of the result depends on the shape alone. The statistics of a column are its
// mean and r = 1 / sqrt(var + eps), all means first, and y = (x - mean) r is what they make of x.
#include "common.cuh"

#define THREADS 256
#define COLUMN (blockIdx.x * blockDim.x + threadIdx.x)

// Unrolled, so that a thread asks for several rows before it adds the first.
#define EACH_ROW(r, first, end, step) _Pragma("unroll 8") for (int64 r = (first); r < (end); r += (step))

// Of the rows, those of this block's part: the part-th `step` of them, dealt out to the rows of threads.
struct Part {
    int64 first, end;

    __device__ Part(int64 rows, int64 step) {
        first = blockIdx.y * step + threadIdx.y;
        end = (blockIdx.y + 1) * step < rows ? (blockIdx.y + 1) * step : rows;
    }
};

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

// Whether this block is the last of those of its columns to come here: it sees what all of them have written before.
// Each of them counts itself, from 0 on; with the last one the count is 0 again. Where there is one, nobody counts.
__device__ inline bool comes_last(unsigned* arrived) {
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        __threadfence();
        last = gridDim.y == 1 || atomicInc(&arrived[blockIdx.x], gridDim.y - 1) == gridDim.y - 1;
        __threadfence();
    }
    __syncthreads();
    return last;
}

// Adds each of `values` up, over the threads of a column in a block, then over its blocks. True in the threads of one
// block, where row 0 has the sums; false in all others. parts[p, k, c] is the k-th value of the p-th block.
template <int COUNT>
__device__ inline bool add_up(real (&values)[COUNT], real* parts, unsigned* arrived, int64 columns) {
    int64 c = COLUMN;
    for (int k = 0; k < COUNT; k++) {
        values[k] = sum_of_column(values[k]);
        if (threadIdx.y == 0 && c < columns) parts[(blockIdx.y * COUNT + k) * columns + c] = values[k];
    }
    if (!comes_last(arrived)) return false;
    for (int k = 0; k < COUNT; k++) {
        real sum = 0;
        if (c < columns)
            EACH_ROW(p, threadIdx.y, gridDim.y, blockDim.y) sum += parts[(p * COUNT + k) * columns + c];
        values[k] = sum_of_column(sum);
    }
    return true;
}

// sums[c] = sum over all rows of x[r, c], or of x[r, c] y[r, c] where y is given
extern "C" __global__ void column_sums(
    const real* x, const real* y, real* parts, real* sums, unsigned* arrived, int64 rows, int64 columns, int64 step) {
    int64 c = COLUMN;
    Part part(rows, step);
    real sum[1] = {0};
    if (c < columns) EACH_ROW(r, part.first, part.end, blockDim.y) {
        sum[0] += y ? x[r * columns + c] * y[r * columns + c] : x[r * columns + c];
    }
    if (add_up(sum, parts, arrived, columns) && threadIdx.y == 0 && c < columns) sums[c] = sum[0];
}

// sums[0, c] = sum over all rows of g[r, c], sums[1, c] that of g[r, c] y[r, c]
extern "C" __global__ void channel_sums(
    const real* g, const real* x, const real* stats, real* parts, real* sums, unsigned* arrived, int64 rows,
    int64 columns, int64 step) {
    int64 c = COLUMN;
    Part part(rows, step);
    real both[2] = {0, 0};
    if (c < columns) {
        real mean = stats[c], inverse = stats[columns + c];
        EACH_ROW(r, part.first, part.end, blockDim.y) {
            real value = g[r * columns + c];
            both[0] += value;
            both[1] += value * ((x[r * columns + c] - mean) * inverse);
        }
    }
    if (add_up(both, parts, arrived, columns) && threadIdx.y == 0 && c < columns) {
        sums[c] = both[0];
        sums[columns + c] = both[1];
    }
}

// The count of some values, their mean, and the sum of the squares of what they differ from it. The mean is a double, as
// means may differ by little beside what they are.
struct Moments {
    real count;
    double mean;
    real squares;

    // Other values join these (Chan, Golub and LeVeque 1979).
    __device__ void join(Moments other) {
        if (other.count == 0) return;
        if (count == 0) {  // whose mean is none: it would lie apart by all of the other, rounded
            *this = other;
            return;
        }
        real apart = other.mean - mean, all = count + other.count, share = other.count / all;
        mean += apart * share;
        squares += other.squares + apart * apart * (count * share);
        count = all;
    }
};

// What the threads of a block that share threadIdx.x have together; valid where threadIdx.y is 0.
__device__ inline Moments moments_of_column(Moments mine) {
    __shared__ real counts[THREADS], squares[THREADS];
    __shared__ double means[THREADS];
    int me = threadIdx.y * blockDim.x + threadIdx.x;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y >= half && threadIdx.y < 2 * half) {  // each thread once, before it is read
            counts[me] = mine.count;
            means[me] = mine.mean;
            squares[me] = mine.squares;
        }
        __syncthreads();
        int other = me + half * blockDim.x;
        if (threadIdx.y < half) mine.join({counts[other], means[other], squares[other]});
    }
    return mine;
}

#define FIRST 8  // rows of a thread whose mean is its shift

// stats[0, c] = mean over all rows of x[r, c], stats[1, c] = 1 / sqrt(var + eps), var the biased variance.
// A thread sums d = x - shift over its n rows, so that squares stay small where the mean is large: its mean is
// shift + sum(d) / n, and its squares are sum(d^2) - sum(d)^2 / n. The shift is the mean of its first rows, and not the
// first one, which may lie far from all others: sum(d^2) is then at most 1 + n / FIRST times its squares.
// A part is three values of each column: its squares, and its mean in two pieces.
extern "C" __global__ void channel_stats(
    const real* x, real* parts, real* stats, unsigned* arrived, int64 rows, int64 columns, int64 step, real eps) {
    int64 c = COLUMN;
    Part part(rows, step);
    Moments mine = {0, 0, 0};
    if (c < columns && part.first < part.end) {
        int64 n = (part.end - part.first + blockDim.y - 1) / blockDim.y, some = n < FIRST ? n : FIRST;
        real shift = 0, sum = 0, squares = 0;
        EACH_ROW(r, part.first, part.first + some * blockDim.y, blockDim.y) shift += x[r * columns + c] / some;
        EACH_ROW(r, part.first, part.end, blockDim.y) {
            real d = x[r * columns + c] - shift;
            sum += d;
            squares += d * d;
        }
        mine = {(real)n, shift + (double)(sum / n), squares - sum * (sum / n)};
    }
    mine = moments_of_column(mine);
    real* p = parts + blockIdx.y * 3 * columns + c;
    if (threadIdx.y == 0 && c < columns) {
        p[0] = mine.squares;
        p[columns] = mine.mean;
        p[2 * columns] = mine.mean - (double)p[columns];
    }
    if (!comes_last(arrived)) return;
    Moments all = {0, 0, 0};
    if (c < columns) EACH_ROW(k, threadIdx.y, gridDim.y, blockDim.y) {
        real count = (k + 1) * step < rows ? step : rows - k * step;
        p = parts + k * 3 * columns + c;
        all.join({count, (double)p[columns] + p[2 * columns], p[0]});
    }
    all = moments_of_column(all);
    if (threadIdx.y == 0 && c < columns) {
        stats[c] = all.mean;
        stats[columns + c] = 1 / sqrt(all.squares / rows + eps);
    }
}

// total[c] = sum over p of parts[p, c]
extern "C" __global__ void total_of_parts(const real* parts, real* total, int64 count, int64 columns) {
    int64 c = COLUMN;
    real sum = 0;
    if (c < columns) EACH_ROW(p, threadIdx.y, count, blockDim.y) sum += parts[p * columns + c];
    sum = sum_of_column(sum);
    if (threadIdx.y == 0 && c < columns) total[c] = sum;
}

// --- a function of each element and of values for its column, which a thread reads once for all its rows -------------

#define FIRST_ROW (blockIdx.y * (int64)blockDim.y + threadIdx.y)
#define ROWS_AT_ONCE (gridDim.y * (int64)blockDim.y)

// z = x w + b
extern "C" __global__ void scale_shift(
    const real* __restrict__ x, const real* w, const real* b, real* __restrict__ z, int64 rows, int64 columns) {
    int64 c = COLUMN;
    if (c >= columns) return;
    real scale = w[c], shift = b[c];
    EACH_ROW(r, FIRST_ROW, rows, ROWS_AT_ONCE) z[r * columns + c] = x[r * columns + c] * scale + shift;
}

// z = y w + b; w is 1 and b 0 where they are not given
extern "C" __global__ void batch_norm(
    const real* __restrict__ x, const real* stats, const real* w, const real* b, real* __restrict__ z, int64 rows,
    int64 columns) {
    int64 c = COLUMN;
    if (c >= columns) return;
    real mean = stats[c], scale = w ? stats[columns + c] * w[c] : stats[columns + c], shift = b ? b[c] : 0;
    EACH_ROW(r, FIRST_ROW, rows, ROWS_AT_ONCE) z[r * columns + c] = (x[r * columns + c] - mean) * scale + shift;
}

// d = w r (g - (sums[0] + y sums[1]) / rows); w is 1 where it is not given
extern "C" __global__ void batch_norm_grad(
    const real* __restrict__ g, const real* __restrict__ x, const real* stats, const real* sums, const real* w,
    real* __restrict__ d, int64 rows, int64 columns) {
    int64 c = COLUMN;
    if (c >= columns) return;
    real mean = stats[c], inverse = stats[columns + c], scale = w ? inverse * w[c] : inverse;
    real shift = sums[c] / rows, slope = inverse * (sums[columns + c] / rows);
    EACH_ROW(r, FIRST_ROW, rows, ROWS_AT_ONCE) {
        int64 i = r * columns + c;
        d[i] = (g[i] - (x[i] - mean) * slope - shift) * scale;
    }
}

// Running statistics move towards a batch's: its mean, and the variance that r = 1 / sqrt(var + eps) stands for. The
// number of batches grows by 1.
extern "C" __global__ void track(
    real* running_mean, real* running_var, int64* batches, const real* mean, const real* r, real unbiased,
    real momentum, real eps, int64 columns) {
    EACH(c, columns) {
        real var = 1 / (r[c] * r[c]) - eps;
        var = (var > 0 || var != var ? var : 0) * unbiased;
        running_mean[c] = running_mean[c] * (1 - momentum) + mean[c] * momentum;
        running_var[c] = running_var[c] * (1 - momentum) + var * momentum;
        if (c == 0) *batches += 1;
    }
}
