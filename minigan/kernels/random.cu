// Philox4x64-10 (Salmon et al. 2011): the words that numpy.random.Philox draws for the same key and counter.
//
// A draw is decided by its key, its first block and its step. The step is read from the device where `at` is given:
// a captured launch then draws anew each time it is replayed.
#include "common.cuh"

struct Block {
    uint64 word[4];
};

// The four words of the b-th block of this step; NumPy counts a block before it draws it.
__device__ inline Block philox(uint64 b, uint64 step, uint64 key0, uint64 key1) {
    uint64 c0 = b + 1, c1 = 0, c2 = step, c3 = 0;
    for (int round = 0; round < 10; round++) {
        uint64 high0 = __umul64hi(0xD2E7470EE14C6C93ull, c0), low0 = 0xD2E7470EE14C6C93ull * c0;
        uint64 high1 = __umul64hi(0xCA5A826395121157ull, c2), low1 = 0xCA5A826395121157ull * c2;
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += 0x9E3779B97F4A7C15ull;
        key1 += 0xBB67AE8584CAA73Bull;
    }
    return {{c0, c1, c2, c3}};
}

struct Draw {
    uint64 key0, key1, first;
    int64 step;
};

__device__ inline Block block_of(const Draw& draw, const int64* at, int64 b) {
    return philox(draw.first + b, at ? *at : draw.step, draw.key0, draw.key1);
}

#define EACH_BLOCK(b, count) EACH(b, ((count) + 3) / 4)

extern "C" __global__ void random_words(uint64* out, int64 n, Draw draw, const int64* at) {
    EACH_BLOCK(b, n) {
        Block block = block_of(draw, at, b);
        for (int k = 0; k < 4; k++)
            if (4 * b + k < n) out[4 * b + k] = block.word[k];
    }
}

// low + (high - low) u, u the leading digits of a word: as many as `real` holds of [0, 1)
extern "C" __global__ void random_uniform(real* out, int64 n, Draw draw, const int64* at, real low, real width) {
    const int digits = sizeof(real) == 8 ? 53 : 24;
    const real unit = (real)1 / (real)(1ull << digits);
    EACH_BLOCK(b, n) {
        Block block = block_of(draw, at, b);
        for (int k = 0; k < 4; k++)
            if (4 * b + k < n) out[4 * b + k] = (real)(block.word[k] >> (64 - digits)) * unit * width + low;
    }
}

// Two normals from the halves of each word, by Box and Muller (1958)
extern "C" __global__ void random_normal(real* out, int64 n, Draw draw, const int64* at, real mean, real std) {
    const real unit = (real)2.3283064365386963e-10, turn = (real)1.4629180792671596e-9;  // 2^-32, 2 pi 2^-32
    EACH_BLOCK(b, (n + 1) / 2) {
        Block block = block_of(draw, at, b);
        for (int k = 0; k < 4; k++) {
            int64 i = 2 * (4 * b + k);
            if (i >= n) break;
            real low = (real)(unsigned)block.word[k], high = (real)(unsigned)(block.word[k] >> 32);
            real radius = sqrt(-2 * log((low + 1) * unit)), angle = high * turn;
            out[i] = radius * cos(angle) * std + mean;
            if (i + 1 < n) out[i + 1] = radius * sin(angle) * std + mean;
        }
    }
}

extern "C" __global__ void random_integers(int64* out, int64 n, Draw draw, const int64* at, int64 high) {
    EACH_BLOCK(b, n) {
        Block block = block_of(draw, at, b);
        for (int k = 0; k < 4; k++)
            if (4 * b + k < n) out[4 * b + k] = ((block.word[k] >> 32) * (uint64)high) >> 32;
    }
}
