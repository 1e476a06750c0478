// Random words: Philox4x64-10 (Salmon et al. 2011), a block cipher that turns a counter into four words.
//
// The words are those of NumPy's Philox, which draws them one by one; here blocks are independent of each other, so that
// the processor works on several at once, and so may threads.
#include "passes.h"

struct philox {
    const uint64_t *start;
    uint64_t *words;
    int64_t n;
};

INLINE uint64_t high(uint64_t a, uint64_t b) { return (uint64_t)(((unsigned __int128)a * b) >> 64); }

static void blocks(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct philox *j = job;
    struct span mine = span_of(ceil_div(j->n, 4), part, parts);
    for (int64_t i = mine.from; i < mine.to; i++) {
        uint64_t c0 = j->start[0] + 1 + (uint64_t)i, c1 = 0, c2 = j->start[1], c3 = 0;  // counted on before each block
        uint64_t k0 = j->start[2], k1 = j->start[3];
        UNROLLED
        for (int round = 0; round < 10; round++) {
            uint64_t m0 = 0xD2E7470EE14C6C93, m1 = 0xCA5A826395121157;
            uint64_t h0 = high(m0, c0), h1 = high(m1, c2), l0 = m0 * c0, l1 = m1 * c2;
            c0 = h1 ^ c1 ^ k0, c1 = l1, c2 = h0 ^ c3 ^ k1, c3 = l0;
            k0 += 0x9E3779B97F4A7C15, k1 += 0xBB67AE8584CAA73B;
        }
        uint64_t made[4] = {c0, c1, c2, c3};
        memcpy(j->words + 4 * i, made, (size_t)smaller(4, j->n - 4 * i) * sizeof(uint64_t));
    }
}

// The n words from where `start` says: the block before the first one, the step, and two words of a key.
EXPORT int philox_words(const uint64_t *start, uint64_t *words, int64_t n) {
    struct philox job = {start, words, n};
    return share(blocks, &job, parts_of(n), 0);
}
