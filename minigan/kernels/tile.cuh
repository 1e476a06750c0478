// One tile of a matrix product, of operands as operands.cuh has them, by a block of 256 threads.
//
// A block moves DEPTH positions of TILE_M rows of one operand and TILE_N rows of the other into shared memory, while
// its threads multiply those that were moved before. Each thread sums a square of elements in registers.

#define DEPTH 16
#define THREADS 256

#if TILE_N > 64
#define RESIDENT 1  // blocks that share a multiprocessor's registers
#else
#define RESIDENT 2
#endif

#define PAD 4

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
    __device__ real element(const Operand& from, int r, const typename Operand::Depth& depth, bool counts) const {
        const real* element;
        return from.at(row[r], depth, element) && counts ? *element : 0;
    }
    __device__ void fetch(const Operand& from, int k, int end) {
        if constexpr (Operand::along_depth) {  // THREADS is a multiple of DEPTH: one position for all of a thread's rows
            int mine = k + depth_of(0);
            typename Operand::Depth depth = from.depth(mine);
#pragma unroll
            for (int r = 0; r < COUNT; r++) held[r] = element(from, r, depth, mine < end);
        } else {  // and here one row, at positions THREADS / ROWS apart
            typename Operand::Depth depth = from.depth(k + depth_of(0));
#pragma unroll
            for (int r = 0; r < COUNT; r++) {
                held[r] = element(from, r, depth, k + depth_of(r) < end);
                from.advance(depth, THREADS / ROWS);
            }
        }
    }
    __device__ void put(real (*shared)[ROWS + PAD]) const {
#pragma unroll
        for (int r = 0; r < COUNT; r++) shared[depth_of(r)][row_of(r)] = held[r];
    }
};

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
            for (int j = 0; j < N / 16; j += 2) {
                int column = first_n + column_of(j);
                if (column < n) out.put_two(place, column, n, sum[i][j], sum[i][j + 1]);
            }
        }
    }
};

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
