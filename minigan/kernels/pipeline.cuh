// One tile of a matrix product on tensor cores, of operands (operands.cuh) whose elements are rounded to TF32, or to
// bfloat16 where BF16 is defined.
//
// A block of WARPS warps sums TILE_M x TILE_N elements. DEPTH positions of the sum are a stage, and STAGES of them
// lie in shared memory: while the warps multiply one, the next ones are on their way from global memory, by copies
// that a thread starts and does not wait for. One barrier a stage is enough: it tells that this stage has arrived
// for all threads, and that all have left the one before it, whose place is filled next.
//
// A thread copies LEFT_PACK or RIGHT_PACK neighbouring elements at once: four (16 bytes), or one.

const int THREADS = 32 * WARPS;
// Blocks that share a multiprocessor, by the registers that their threads need: 255 with more than 64 sums, 170 with
// more than 32, or 128.
const int SUMS = TILE_M * TILE_N / THREADS, RESIDENT = (SUMS > 64 ? 256 : SUMS > 32 ? 384 : 512) / THREADS;

// --- what a warp does in one instruction ----------------------------------------------------------------------

// Starts a copy of PACK elements into shared memory; of zeros, if `present` is false: `from` is then not read.
template <int PACK>
__device__ inline void start_copy(real* to, const real* from, bool present) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    unsigned place = __cvta_generic_to_shared(to);
    if (PACK == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(present ? 16 : 0));
    else asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(place), "l"(from), "r"(present ? 4 : 0));
#elif defined(__CUDA_ARCH__)
    for (int i = 0; i < PACK; i++) to[i] = present ? from[i] : 0;
#else
    __pipeline_memcpy_async(to, from, 4 * PACK, present ? 0 : 4 * PACK);
#endif
}

// What this thread has started since the last call is one group of copies.
__device__ inline void end_group() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#elif !defined(__CUDA_ARCH__)
    __pipeline_commit();
#endif
}

// Waits until all of this thread's groups but the last N have arrived.
template <int N>
__device__ inline void wait_for_groups() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#elif !defined(__CUDA_ARCH__)
    __pipeline_wait_prior(N);
#endif
}

#ifdef BF16
const int PER_REGISTER = 2;  // elements
#else
const int PER_REGISTER = 1;
#endif
const int STEP = 8 * PER_REGISTER;  // positions of the sum in one instruction

// d (16 x 8) += a (16 x STEP) b (STEP x 8), spread over a warp as PTX's mma.m16n8k8 has it for TF32, mma.m16n8k16 for
// bfloat16. With g = lane / 4, t = lane % 4, d holds (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1); a has rows
// g, g + 8, g, g + 8 in its four registers and b column g in two; which positions of the sum are a lane's, `fragment`
// says, of both in the same way. The lower 13 bits of TF32 do not count.
__device__ inline void multiply(float* d, const unsigned* a, unsigned b0, unsigned b1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#ifdef BF16
#define KIND "m16n8k16.row.col.f32.bf16.bf16.f32"
#else
#define KIND "m16n8k8.row.col.f32.tf32.tf32.f32"
#endif
    asm("mma.sync.aligned." KIND " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    __shared__ float held[WARPS][32][6][PER_REGISTER];
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    float(*of)[6][PER_REGISTER] = held[threadIdx.x / 32];
    for (int e = 0; e < 6; e++) {
        unsigned bits = e < 4 ? a[e] : e < 5 ? b0 : b1;
        if (PER_REGISTER == 1) of[lane][e][0] = __uint_as_float(bits & 0xffffe000u);
        else
            for (int p = 0; p < PER_REGISTER; p++) of[lane][e][p] = __uint_as_float(bits >> 16 * p << 16);
    }
    __syncwarp();
#pragma unroll 1
    for (int k = 0; k < STEP; k++) {
        int p = k % PER_REGISTER, of_lane = k / PER_REGISTER % 4, half = k / PER_REGISTER / 4;
        for (int e = 0; e < 4; e++)
            d[e] += of[g * 4 + of_lane][e / 2 + half * 2][p] * of[(2 * t + e % 2) * 4 + of_lane][4 + half][p];
    }
    __syncwarp();
#endif
}

// x rounded to the 11 bits of TF32, halves away from zero; what is below them is left to be ignored. The largest of
// two keeps the GPU's own NaN, which ends in ones, from becoming a zero.
__device__ inline unsigned to_tf32(float x) {
    int bits = __float_as_int(x);
    return max((int)((unsigned)bits + 0x1000u), bits);
}

// Two numbers rounded to bfloat16, in one register.
__device__ inline unsigned to_bfloat16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return to_bfloat16(low) | (unsigned)to_bfloat16(high) << 16;
#endif
}

// --- a stage of one operand in shared memory ------------------------------------------------------------------

// ROWS x DEPTH elements, in the direction in which they lie in global memory. Rows of DEPTH elements follow each
// other without gaps, their groups of four change places by the row; rows of ROWS elements have a gap of PAD. What a
// warp reads or copies at once then lies in different banks.
template <int ROWS, bool ALONG_DEPTH>
struct Stage {
    static const int PAD = 8, SIZE = ALONG_DEPTH ? ROWS * DEPTH : (ROWS + PAD) * DEPTH;

    static __device__ int offset(int row, int k) {
        if (!ALONG_DEPTH) return k * (ROWS + PAD) + row;
        const int LINES = 32 / DEPTH, GROUPS = DEPTH / 4;  // rows that share the 32 banks, groups of a row
        return row * DEPTH + ((k / 4 ^ row / LINES % GROUPS) * 4 | k % 4);
    }

    // Elements (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4) of 16 x 8: the i-th from row `first` on, a multiple of
    // 16, at position k.
    static __device__ void read(float* x, const real* stage, int first, int i, int k) {
        int lane = threadIdx.x % 32;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
        if (ALONG_DEPTH) {  // four matrices of eight rows by 16 bytes, whose rows the lanes point to
            const real* row = stage + first * DEPTH + offset(lane % 16, k + lane / 16 * 4) + 16 * i * DEPTH;
            unsigned place = __cvta_generic_to_shared(row);
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                         : "=f"(x[0]), "=f"(x[1]), "=f"(x[2]), "=f"(x[3])
                         : "r"(place));
            return;
        }
#endif
#pragma unroll
        for (int e = 0; e < 4; e++)
            x[e] = stage[offset(first + 16 * i + lane / 4 + e % 2 * 8, k + lane % 4 + e / 2 * 4)];
    }

    // The same of 16 x STEP, rounded, in the four registers of `multiply`'s a; or of its b for 8 rows in the first
    // and third, for 8 others in the second and fourth.
    static __device__ void fragment(unsigned* f, const real* stage, int first, int i, int k) {
#ifdef BF16
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float x[4];
            read(x, stage, first, i, k + 8 * half);
            f[2 * half] = to_bfloat16_pair(x[0], x[2]);
            f[2 * half + 1] = to_bfloat16_pair(x[1], x[3]);
        }
#else
        float x[4];
        read(x, stage, first, i, k);
#pragma unroll
        for (int e = 0; e < 4; e++) f[e] = to_tf32(x[e]);
#endif
    }
};

// This thread's share of the copies of one operand, stage after stage: some rows at one position of the sum.
template <int ROWS, int PACK, class Operand>
struct Feed {
    static const bool ALONG = Operand::along_depth;
    static const int DEPTHS = ALONG ? DEPTH / PACK : DEPTH;  // threads that share a row
    static const int APART = THREADS / DEPTHS * (ALONG ? 1 : PACK), COUNT = ROWS / APART;
    static_assert(THREADS % DEPTHS == 0 && COUNT * APART == ROWS, "the threads share alike");

    const Operand& from;
    typename Operand::Row row[COUNT];
    typename Operand::Depth depth;
    int k;  // the first position that is this thread's

    __device__ Feed(const Operand& from, int first, int k)
        : from(from), depth(from.depth(k + first_depth())), k(k + first_depth()) {
#pragma unroll
        for (int r = 0; r < COUNT; r++) row[r] = from.row(first + first_row() + r * APART);
    }
    static __device__ int first_row() {
        return ALONG ? threadIdx.x / DEPTHS : threadIdx.x % (THREADS / DEPTHS) * PACK;
    }
    static __device__ int first_depth() {
        return ALONG ? threadIdx.x % DEPTHS * PACK : threadIdx.x / (THREADS / DEPTHS);
    }
    // Starts a part of the copies of the next stage, one of so many; positions from `end` on are zero.
    template <int PARTS>
    __device__ void start(real* stage, int end, int part) {
#pragma unroll
        for (int r = 0; r < COUNT; r++) {
            if (r * PARTS / COUNT != part) continue;
            const real* source;
            bool present = from.at(row[r], depth, source) && k < end;
            start_copy<PACK>(
                stage + Stage<ROWS, ALONG>::offset(first_row() + r * APART, first_depth()), source, present);
        }
    }
    __device__ void advance() {
        from.advance(depth, DEPTH);
        k += DEPTH;
    }
};

// --- sums -----------------------------------------------------------------------------------------------------

struct Sums {  // of a thread: its part of the tiles of 16 x 8 that its warp has
    static const int DOWN = WARPS == 8 && TILE_M > TILE_N ? 4 : 2, ACROSS = WARPS / DOWN;  // how the warps lie
    static const int TILES_M = TILE_M / DOWN / 16, TILES_N = TILE_N / ACROSS / 8;
    float sum[TILES_M][TILES_N][4];

    static __device__ int first_row() { return threadIdx.x / 32 / ACROSS * (TILE_M / DOWN); }
    static __device__ int first_column() { return threadIdx.x / 32 % ACROSS * (TILE_N / ACROSS); }

    __device__ Sums() {
#pragma unroll
        for (int i = 0; i < TILES_M; i++)
#pragma unroll
            for (int j = 0; j < TILES_N; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sum[i][j][e] = 0;
    }
    __device__ void add(const unsigned (*a)[4], const unsigned (*b)[4]) {
#pragma unroll
        for (int i = 0; i < TILES_M; i++)
#pragma unroll
            for (int j = 0; j < TILES_N; j++) multiply(sum[i][j], a[i], b[j / 2][j % 2], b[j / 2][j % 2 + 2]);
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
                for (int j = 0; j < TILES_N; j++) {
                    int column = first_n + first_column() + 8 * j + 2 * t;
                    if (column < n) out.put_two(place, column, n, sum[i][j][2 * half], sum[i][j][2 * half + 1]);
                }
            }
    }
};

// The tile at blockIdx.x, blockIdx.y of out (m x n), summed over positions from .. to - 1.
template <class Left, class Right, class Out>
__device__ inline void product_tile(
    const Left& left, const Right& right, const Out& out, int m, int n, int from, int to) {
    typedef Stage<TILE_M, Left::along_depth> LeftStage;
    typedef Stage<TILE_N, Right::along_depth> RightStage;
    const int SIZE = LeftStage::SIZE + RightStage::SIZE;
    extern __shared__ __align__(16) real stages[];
    int first_m = blockIdx.x * TILE_M, first_n = blockIdx.y * TILE_N;
    Sums sums;
    if (from < to) {  // else there is nothing that could be addressed
        Feed<TILE_M, LEFT_PACK, Left> feed_left(left, first_m, from);
        Feed<TILE_N, RIGHT_PACK, Right> feed_right(right, first_n, from);
        for (int ahead = 0; ahead < STAGES - 1; ahead++) {
            feed_left.template start<1>(stages + ahead * SIZE, to, 0);
            feed_right.template start<1>(stages + ahead * SIZE + LeftStage::SIZE, to, 0);
            feed_left.advance();
            feed_right.advance();
            end_group();
        }
        int full = 0, empty = STAGES - 1;  // the places of the stage to multiply, and of the one to fill
        for (int k = from; k < to; k += DEPTH) {
            wait_for_groups<STAGES - 2>();
            __syncthreads();
            const real *a = stages + full * SIZE, *b = a + LeftStage::SIZE;
            real *next_a = stages + empty * SIZE, *next_b = next_a + LeftStage::SIZE;
            const int PARTS = DEPTH / STEP;
#pragma unroll
            for (int part = 0; part < PARTS; part++) {  // copies are started while the tensor cores are at work
                unsigned of_a[Sums::TILES_M][4], of_b[Sums::TILES_N / 2][4];
#pragma unroll
                for (int i = 0; i < Sums::TILES_M; i++)
                    LeftStage::fragment(of_a[i], a, Sums::first_row(), i, part * STEP);
#pragma unroll
                for (int j = 0; j < Sums::TILES_N / 2; j++)
                    RightStage::fragment(of_b[j], b, Sums::first_column(), j, part * STEP);
                feed_left.template start<PARTS>(next_a, to, part);
                feed_right.template start<PARTS>(next_b, to, part);
                sums.add(of_a, of_b);
            }
            feed_left.advance();
            feed_right.advance();
            end_group();
            full = full + 1 < STAGES ? full + 1 : 0;
            empty = empty + 1 < STAGES ? empty + 1 : 0;
        }
        wait_for_groups<0>();
    }
    sums.write(out, first_m, first_n, m, n);
}
