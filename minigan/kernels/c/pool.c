// Windows over each channel of channels-last images. A winner is its row-major position in the window.
//
// What is made for each window reads the pixels under it. What is made for each pixel of x goes over windows too, band
// by band of x's rows: a band belongs to one row of windows if they do not overlap, else it is the whole image, so that
// bands can be shared by threads and sums have one order.
#include "passes.h"

struct pool {
    const float *in;                             // x, or the gradient at y
    const float *y;                              // of pool_winner alone
    const uint8_t *winner;                       // of pool_take and pool_put
    float *out;
    uint8_t *out_winner;                         // of pool_winner
    int64_t n, c, h, w, oh, ow, kh, kw, sh, sw;  // as in geometry.py
};

typedef uint8_t bytes __attribute__((vector_size(LANES)));

// The first n <= LANES elements at p, and into it: n is all of them, except at the end of a pixel.
INLINE vec get(const float *p, int64_t n) { return n == LANES ? load(p) : load_part(p, n); }

INLINE void put(float *p, vec x, int64_t n) {
    if (n == LANES)
        store(p, x);
    else
        store_part(p, x, n);
}

INLINE mask get_bytes(const uint8_t *p, int64_t n) {
    bytes b = {0};
    memcpy(&b, p, n == LANES ? LANES : n);
    return __builtin_convertvector(b, mask);
}

INLINE void put_bytes(uint8_t *p, mask x, int64_t n) {
    bytes b = __builtin_convertvector(x, bytes);
    memcpy(p, &b, n == LANES ? LANES : n);
}

INLINE mask equal_to(mask winner, int32_t k) { return winner == (mask){0} + k; }

// --- for each window ---------------------------------------------------------------------------------------------

// The channels from the c-th on of one window: its first pixel in x, its place in y.
typedef void window_fn(const struct pool *s, const float *x, int64_t place, int64_t n);

#define EACH_TAP(i, j)                    \
    for (int64_t i = 0; i < s->kh; i++) \
        for (int64_t j = 0; j < s->kw; j++)

// Element (i, j) of the window whose first pixel is x.
INLINE vec tap(const struct pool *s, const float *x, int64_t i, int64_t j, int64_t n) {
    return get(x + (i * s->w + j) * s->c, n);
}

INLINE void each_window(window_fn *made, const struct pool *s, int64_t part, int64_t parts) {
    struct span mine = span_of(s->n * s->oh, part, parts);
    for (int64_t row = mine.from; row < mine.to; row++) {
        const float *line = s->in + (row / s->oh * s->h + row % s->oh * s->sh) * s->w * s->c;
        for (int64_t col = 0; col < s->ow; col++)
            for (int64_t c = 0; c < s->c; c += LANES)
                made(s, line + col * s->sw * s->c + c, (row * s->ow + col) * s->c + c, smaller(LANES, s->c - c));
    }
}

// Does the window have 2 x 2 elements? The compiler writes out the loops over them where it knows their number.
INLINE int is_two_by_two(struct pool *s) {
    if (s->kh != 2 || s->kw != 2) return 0;
    s->kh = s->kw = 2;
    return 1;
}

#define WINDOWS(name)                                                                        \
    static void name##_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) { \
        struct pool s = *(struct pool *)job;                                                 \
        if (is_two_by_two(&s))                                                               \
            each_window(name, &s, part, parts);                                              \
        else                                                                                 \
            each_window(name, &s, part, parts);                                              \
    }

INLINE void max_of(const struct pool *s, const float *x, int64_t place, int64_t n) {
    vec best = get(x, n);
    EACH_TAP(i, j) {
        vec v = tap(s, x, i, j, n);
        best = choose((v > best) | (v != v), v, best);
    }
    put(s->out + place, best, n);
}

// The number of elements before the first that equals the window's maximum; a NaN is larger than any number.
INLINE void winner_of(const struct pool *s, const float *x, int64_t place, int64_t n) {
    vec y = get(s->y + place, n);
    mask winner = {0}, unmatched = ~winner;
    EACH_TAP(i, j) {
        vec v = tap(s, x, i, j, n);
        unmatched &= (v != y) & (v == v);
        if (i * s->kw + j < s->kh * s->kw - 1) winner -= unmatched;
    }
    put_bytes(s->out_winner + place, winner, n);
}

INLINE void taken_of(const struct pool *s, const float *x, int64_t place, int64_t n) {
    mask winner = get_bytes(s->winner + place, n);
    vec y = {0};
    EACH_TAP(i, j) y = choose(equal_to(winner, (int32_t)(i * s->kw + j)), tap(s, x, i, j, n), y);
    put(s->out + place, y, n);
}

INLINE void sum_of(const struct pool *s, const float *x, int64_t place, int64_t n) {
    vec sum = {0};
    EACH_TAP(i, j) sum += tap(s, x, i, j, n);
    put(s->out + place, sum, n);
}

WINDOWS(max_of)
WINDOWS(winner_of)
WINDOWS(taken_of)
WINDOWS(sum_of)

// --- for each pixel of x -----------------------------------------------------------------------------------------

// Does each pixel lie in one window? Then it is written once, and need not be zero before.
INLINE int is_tiled(const struct pool *s) {
    return s->kh == s->sh && s->kw == s->sw && s->oh * s->sh == s->h && s->ow * s->sw == s->w;
}

INLINE int64_t bands(const struct pool *s) { return s->kh <= s->sh ? s->oh : 1; }

// Adds to x, in the pixels of one window, what its g sends to each: all of it, or g where the winner is, else 0.
INLINE void spread_window(
    const struct pool *s, float *x, int64_t place, int64_t n, const int to_winner, const int tiled) {
    vec g = get(s->in + place, n);
    mask winner = to_winner ? get_bytes(s->winner + place, n) : (mask){0};
    EACH_TAP(i, j) {
        float *pixel = x + (i * s->w + j) * s->c;
        vec sent = g;
        if (to_winner) sent = choose(equal_to(winner, (int32_t)(i * s->kw + j)), g, (vec){0});
        if (!tiled) sent += get(pixel, n);
        put(pixel, sent, n);
    }
}

INLINE void each_band(const struct pool *s, int64_t part, int64_t parts, const int to_winner, const int tiled) {
    int64_t of_image = bands(s), windows = s->oh / of_image;
    struct span mine = span_of(s->n * of_image, part, parts);
    for (int64_t band = mine.from; band < mine.to; band++) {
        int64_t image = band / of_image, first = band % of_image * windows;
        int64_t top = first * s->sh, bottom = first + windows == s->oh ? s->h : top + windows * s->sh;
        float *x = s->out + image * s->h * s->w * s->c;
        if (!tiled) memset(x + top * s->w * s->c, 0, (bottom - top) * s->w * s->c * sizeof(float));
        for (int64_t row = first; row < first + windows; row++)
            for (int64_t col = 0; col < s->ow; col++)
                for (int64_t c = 0; c < s->c; c += LANES)
                    spread_window(s, x + (row * s->sh * s->w + col * s->sw) * s->c + c,
                                  ((image * s->oh + row) * s->ow + col) * s->c + c, smaller(LANES, s->c - c),
                                  to_winner, tiled);
    }
}

INLINE void send(struct pool s, int64_t part, int64_t parts, const int to_winner) {
    if (is_tiled(&s) && is_two_by_two(&s))
        each_band(&s, part, parts, to_winner, 1);
    else if (is_tiled(&s))
        each_band(&s, part, parts, to_winner, 1);
    else
        each_band(&s, part, parts, to_winner, 0);
}

static void put_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    send(*(struct pool *)job, part, parts, 1);
}

static void spread_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    send(*(struct pool *)job, part, parts, 0);
}

// --- what Python calls: the images, then `sizes`: n c h w of x, oh ow of y, kh kw, sh sw -------------------------

static struct pool pool_of(const float *in, float *out, const int64_t *z) {
    return (struct pool){.in = in, .out = out, .n = z[0], .c = z[1], .h = z[2], .w = z[3], .oh = z[4], .ow = z[5],
                         .kh = z[6], .kw = z[7], .sh = z[8], .sw = z[9]};
}

static int over_windows(part_fn *work, struct pool *s) {
    int64_t rows = s->n * s->oh;
    return share(work, s, smaller(parts_of(s->n * s->c * s->h * s->w), rows), 0);
}

static int over_bands(part_fn *work, struct pool *s) {
    return share(work, s, smaller(parts_of(s->n * s->c * s->h * s->w), s->n * bands(s)), 0);
}

// y = the largest element of each window of x
EXPORT int pool_max(const float *x, float *y, const int64_t *sizes) {
    struct pool job = pool_of(x, y, sizes);
    return over_windows(max_of_part, &job);
}

// winner = which element of each window of x is y
EXPORT int pool_winner(const float *x, const float *y, uint8_t *winner, const int64_t *sizes) {
    struct pool job = pool_of(x, NULL, sizes);
    job.y = y;
    job.out_winner = winner;
    return over_windows(winner_of_part, &job);
}

// y = the element of each window of x that `winner` says
EXPORT int pool_take(const float *x, const uint8_t *winner, float *y, const int64_t *sizes) {
    struct pool job = pool_of(x, y, sizes);
    job.winner = winner;
    return over_windows(taken_of_part, &job);
}

// x = zeros, with each g added where its window's winner lies
EXPORT int pool_put(const float *g, const uint8_t *winner, float *x, const int64_t *sizes) {
    struct pool job = pool_of(g, x, sizes);
    job.winner = winner;
    return over_bands(put_part, &job);
}

// y = the sum of each window of x
EXPORT int pool_sum(const float *x, float *y, const int64_t *sizes) {
    struct pool job = pool_of(x, y, sizes);
    return over_windows(sum_of_part, &job);
}

// x = zeros, with each g added to every element of its window
EXPORT int pool_spread(const float *g, float *x, const int64_t *sizes) {
    struct pool job = pool_of(g, x, sizes);
    return over_bands(spread_part, &job);
}
