// One tile of a matrix product, out[m, n] = sum over k of left[m, k] right[n, k], by a block of 256 threads.
//
// The operands are objects that know where their elements are; a convolution's windows are such an operand, so that
// no matrix of them is ever written. An operand says which way its memory runs (`along_depth`) and gives
//     row(i)         what is needed to address its row i, computed once for each thread
//     depth(k)       the same for position k of the sum
//     at(row, k)     the element
//     advance(k, n)  moves a position on by n; only where memory runs along the rows
// A block moves DEPTH positions of TILE_M rows of one and TILE_N rows of the other into shared memory, while its
// threads multiply those that were moved before. Each thread sums a square of elements in registers, or each warp
// a few tiles of its tensor cores where TF32 is defined.

#define DEPTH 16
#define THREADS 256

#if TILE_N > 64
#define RESIDENT 1  // blocks that share a multiprocessor's registers
#else
#define RESIDENT 2
#endif

#ifdef TF32
#define PAD 8  // the rows that a warp reads at once then lie in different banks
#else
#define PAD 4
#endif

// This thread's share of ROWS x DEPTH elements of an operand, on their way into shared memory.
template <int ROWS, class Operand>
struct Share {
    static const int COUNT = ROWS * DEPTH / THREADS;
    typename Operand::Row row[COUNT];
    real held[COUNT];

    static __device__ int row_of(int r) {
        int e = threadIdx.x + r * THREADS;
        return Operand::along_depth ? e / DEPTH : e % ROWS;
    }
    static __device__ int depth_of(int r) {
        int e = threadIdx.x + r * THREADS;
        return Operand::along_depth ? e % DEPTH : e / ROWS;
    }
    __device__ Share(const Operand& from, int first) {
#pragma unroll
        for (int r = 0; r < COUNT; r++) row[r] = from.row(first + row_of(r));
    }
    __device__ void fetch(const Operand& from, int k, int end) {
        if constexpr (Operand::along_depth) {  // THREADS is a multiple of DEPTH: one position for all of a thread's rows
            int mine = k + depth_of(0);
            typename Operand::Depth depth = from.depth(mine);
#pragma unroll
            for (int r = 0; r < COUNT; r++) held[r] = mine < end ? from.at(row[r], depth) : 0;
        } else {  // and here one row, at positions THREADS / ROWS apart
            typename Operand::Depth depth = from.depth(k + depth_of(0));
#pragma unroll
            for (int r = 0; r < COUNT; r++) {
                held[r] = k + depth_of(r) < end ? from.at(row[r], depth) : 0;
                from.advance(depth, THREADS / ROWS);
            }
        }
    }
    __device__ void put(real (*shared)[ROWS + PAD]) const {
#pragma unroll
        for (int r = 0; r < COUNT; r++) {
#ifdef TF32
            // TF32 keeps 10 bits of the mantissa; halves are rounded away from zero
            unsigned bits = (__float_as_uint(held[r]) + 0x1000u) & 0xffffe000u;
            shared[depth_of(r)][row_of(r)] = __uint_as_float(bits);
#else
            shared[depth_of(r)][row_of(r)] = held[r];
#endif
        }
    }
};

#ifdef TF32

// d (16 x 8) += a (16 x 8) b (8 x 8), spread over a warp as PTX's mma.m16n8k8 has it: with g = lane / 4, t = lane % 4,
// a holds (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4); b holds (t, g), (t + 4, g); d holds (g, 2t), (g, 2t + 1),
// (g + 8, 2t), (g + 8, 2t + 1).
__device__ inline void multiply_16x8x8(float* d, const float* a, const float* b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll 1
    for (int k = 0; k < 8; k++)
        for (int e = 0; e < 4; e++) {
            float left = __shfl_sync(0xffffffffu, a[e / 2 + k / 4 * 2], g * 4 + k % 4);
            float right = __shfl_sync(0xffffffffu, b[k / 4], (2 * t + e % 2) * 4 + k % 4);
            d[e] += left * right;
        }
#endif
}

template <int M, int N>
struct Sums {  // of a thread: its part of the tiles of its warp
    static const int DOWN = M > N ? 4 : 2, ACROSS = 8 / DOWN;  // how the 8 warps lie over the tile
    static const int TILES_M = M / DOWN / 16, TILES_N = N / ACROSS / 8;
    float sum[TILES_M][TILES_N][4];

    static __device__ int first_row() { return threadIdx.x / 32 / ACROSS * (M / DOWN); }
    static __device__ int first_column() { return threadIdx.x / 32 % ACROSS * (N / ACROSS); }

    __device__ Sums() {
        for (int i = 0; i < TILES_M; i++)
            for (int j = 0; j < TILES_N; j++)
                for (int e = 0; e < 4; e++) sum[i][j][e] = 0;
    }
    __device__ void add(const real (*left)[M + PAD], const real (*right)[N + PAD]) {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int k = 0; k < DEPTH; k += 8) {
            float a[TILES_M][4], b[TILES_N][2];
#pragma unroll
            for (int i = 0; i < TILES_M; i++)
#pragma unroll
                for (int e = 0; e < 4; e++) a[i][e] = left[k + t + e / 2 * 4][first_row() + 16 * i + g + e % 2 * 8];
#pragma unroll
            for (int j = 0; j < TILES_N; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) b[j][e] = right[k + t + e * 4][first_column() + 8 * j + g];
#pragma unroll
            for (int i = 0; i < TILES_M; i++)
#pragma unroll
                for (int j = 0; j < TILES_N; j++) multiply_16x8x8(sum[i][j], a[i], b[j]);
        }
    }
    template <class Out>
    __device__ void write(const Out& out, int first, int first_n, int m, int n) const {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < TILES_M; i++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = first + first_row() + 16 * i + g + 8 * half;
                if (row >= m) continue;
                typename Out::Row place = out.row(row);
#pragma unroll
                for (int j = 0; j < TILES_N; j++)
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        int column = first_n + first_column() + 8 * j + 2 * t + e;
                        if (column < n) out.put(place, column, sum[i][j][2 * half + e]);
                    }
            }
    }
};

#else

template <int M, int N>
struct Sums {  // of a thread: M / 16 by N / 16 elements, in groups of four rows and four columns
    real sum[M / 16][N / 16];

    static __device__ int row_of(int i) { return i / 4 * 64 + threadIdx.x / 16 * 4 + i % 4; }
    static __device__ int column_of(int j) { return j / 4 * 64 + threadIdx.x % 16 * 4 + j % 4; }

    __device__ Sums() {
        for (int i = 0; i < M / 16; i++)
            for (int j = 0; j < N / 16; j++) sum[i][j] = 0;
    }
    __device__ void add(const real (*left)[M + PAD], const real (*right)[N + PAD]) {
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            real a[M / 16], b[N / 16];
#pragma unroll
            for (int i = 0; i < M / 16; i++) a[i] = left[k][row_of(i)];
#pragma unroll
            for (int j = 0; j < N / 16; j++) b[j] = right[k][column_of(j)];
#pragma unroll
            for (int i = 0; i < M / 16; i++)
#pragma unroll
                for (int j = 0; j < N / 16; j++) sum[i][j] += a[i] * b[j];
        }
    }
    template <class Out>
    __device__ void write(const Out& out, int first, int first_n, int m, int n) const {
#pragma unroll
        for (int i = 0; i < M / 16; i++) {
            int row = first + row_of(i);
            if (row >= m) continue;
            typename Out::Row place = out.row(row);
#pragma unroll
            for (int j = 0; j < N / 16; j++) {
                int column = first_n + column_of(j);
                if (column < n) out.put(place, column, sum[i][j]);
            }
        }
    }
};

#endif

// The tile at blockIdx.x, blockIdx.y of out (m x n), summed over positions from .. to - 1.
template <class Left, class Right, class Out>
__device__ inline void product_tile(
    const Left& left, const Right& right, const Out& out, int m, int n, int from, int to) {
    __shared__ __align__(16) real a[DEPTH][TILE_M + PAD];
    __shared__ __align__(16) real b[DEPTH][TILE_N + PAD];
    int first_m = blockIdx.x * TILE_M, first_n = blockIdx.y * TILE_N;
    Share<TILE_M, Left> from_left(left, first_m);
    Share<TILE_N, Right> from_right(right, first_n);
    Sums<TILE_M, TILE_N> sums;
    if (from < to) {  // else there is nothing that could be addressed
        from_left.fetch(left, from, to);
        from_right.fetch(right, from, to);
    }
    for (int k = from; k < to; k += DEPTH) {
        from_left.put(a);
        from_right.put(b);
        __syncthreads();
        if (k + DEPTH < to) {
            from_left.fetch(left, k + DEPTH, to);
            from_right.fetch(right, k + DEPTH, to);
        }
        sums.add(a, b);
        __syncthreads();
    }
    sums.write(out, first_m, first_n, m, n);
}

// --- operands and results that several kernels share ----------------------------------------------------------

// A matrix of `rows` rows: element (i, k) lies at i * row_stride + k * depth_stride.
template <bool ALONG_DEPTH>
struct Matrix {
    static const bool along_depth = ALONG_DEPTH;
    typedef const real* Row;
    typedef int64 Depth;
    const real* start;
    int rows;
    int64 row_stride, depth_stride;
    __device__ Row row(int i) const { return i < rows ? start + i * row_stride : nullptr; }
    __device__ Depth depth(int k) const { return k * depth_stride; }
    __device__ void advance(Depth& depth, int n) const { depth += n * depth_stride; }
    __device__ real at(Row row, Depth depth) const { return row ? row[depth] : 0; }
};

// Rows of `stride` elements, a value for each column added to them if there is one.
struct Rows {
    typedef real* Row;
    real* start;
    int64 stride;
    const real* bias;
    __device__ Row row(int i) const { return start + i * stride; }
    __device__ void put(Row row, int column, real value) const { row[column] = bias ? value + bias[column] : value; }
};
