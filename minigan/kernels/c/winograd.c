// The three faces of a convolution with fewer multiplications: winograd.h has the mathematics.
//
// A part of the work takes a block of tiles from the image to the result: their transforms, the products and the
// transform back stay in the cache between them. V, E and the products lie as R^2 matrices with a row for each tile.
// Images are channels-last in memory, and a pixel with its s - 1 neighbours to the right is one run of s C floats.
//
// A tile in the middle of an image is read and written where it lies. One at the border goes through a copy (`patch`),
// and so does every tile if the channels do not fill whole vectors: its runs are rounded up.
#include "winograd.h"

#include "patch.h"
#include "product.h"
#include "windows.h"

struct job {
    struct geometry s;         // with a square kernel whose stride divides it
    const struct algorithm *f;
    int64_t size, matrices;    // R, R^2
    int64_t down, across;      // tiles of an image
    int64_t tiles;             // of all images
    int64_t depth;             // of V: phases times channels of x
    int64_t run, result_run;   // s C and O, rounded up to whole vectors
    int64_t v_row, e_row;      // floats from a tile to the next in V and in E
    int64_t block;             // tiles whose transforms are in memory at once
    const float *x, *w, *y;    // the two that are given
    float *out;                // the third
    const float *bias;         // rounded up to whole vectors too; or NULL
    float slope;
    float *u, *v, *e, *sums;   // what parts share: U in strips, or V, E and E^T V
};

#define LINE 16  // floats of a cache line

// Floats from a row of `n` to the next: some past its end may be read or written, and the number of lines is odd, or
// the many rows that are read at once might all lie in the same few sets of the cache.
INLINE int64_t row_floats(int64_t n) { return round_up(n + LANES, LINE) | LINE; }

static struct job new_job(const struct geometry *s, const struct algorithm *f) {
    struct job j = {.s = *s, .f = f};
    j.size = f->m + f->r - 1;
    j.matrices = j.size * j.size;
    j.down = ceil_div(s->oh, f->m);
    j.across = ceil_div(s->ow, f->m);
    j.tiles = s->n * j.down * j.across;
    j.depth = s->sh * s->sh * s->c;
    j.run = round_up(s->sh * s->c, LANES);
    j.result_run = round_up(s->o, LANES);
    j.v_row = row_floats(j.depth);
    j.e_row = row_floats(s->o);
    return j;
}

// --- the tiles of x and of y ------------------------------------------------------------------------------------

// What tile t sees of `x`. Pixels that no window sees are not part of it.
static struct patch window(const struct job *j, const float *x, int64_t t) {
    const struct geometry *s = &j->s;
    int64_t each = j->down * j->across, step = j->f->m * s->sh;
    return (struct patch){
        .image = (float *)x + t / each * s->h * s->w * s->c,
        .height = smaller(s->h, (s->oh - 1) * s->sh + s->kh - s->top),
        .width = smaller(s->w, (s->ow - 1) * s->sh + s->kh - s->left),
        .row_floats = s->w * s->c,
        .channels = s->c,
        .row = t % each / j->across * step - s->top,
        .column = t % j->across * step - s->left,
        .pixels = j->size * s->sh,
        .group = s->sh,
        .run = j->run,
    };
}

// The pixels of `y` that tile t makes.
static struct patch results(const struct job *j, const float *y, int64_t t) {
    const struct geometry *s = &j->s;
    int64_t each = j->down * j->across, m = j->f->m;
    return (struct patch){
        .image = (float *)y + t / each * s->oh * s->ow * s->o,
        .height = s->oh,
        .width = s->ow,
        .row_floats = s->ow * s->o,
        .channels = s->o,
        .row = t % each / j->across * m,
        .column = t % j->across * m,
        .pixels = m,
        .group = 1,
        .run = j->result_run,
    };
}

// Floats that a copy of either may take.
static int64_t copy_floats(const struct job *j) {
    struct patch a = window(j, NULL, 0), b = results(j, NULL, 0);
    return larger(patch_size(&a), patch_size(&b));
}

// --- transforms of a block of tiles: `rows` tiles from t on -----------------------------------------------------

// Row i of R x R matrices of `rows` rows each.
static struct tile matrix_row(const struct job *j, float *matrices, int64_t i, int64_t rows, int64_t row) {
    return (struct tile){matrices + i * row, j->size * rows * row, rows * row};
}

// One phase of the rows of a window.
static struct tile phase_of(struct tile window, int64_t phase, int64_t stride) {
    return (struct tile){window.at + phase * window.down, stride * window.down, window.across};
}

static struct tile channels_from(struct tile t, int64_t channel) {
    t.at += channel;
    return t;
}

// V and E of one tile.
static void transform_window(const struct job *j, int64_t t, struct tile v, float *copy) {
    struct patch p = window(j, j->x, t);
    struct tile from = patch_to_read(&p, copy);
    for (int64_t phase = 0; phase < j->s.sh; phase++)
        j->f->image(phase_of(from, phase, j->s.sh), channels_from(v, phase * j->s.sh * j->s.c), j->run);
}

static void transform_result(const struct job *j, int64_t t, struct tile e, float *copy) {
    struct patch p = results(j, j->y, t);
    j->f->result(patch_to_read(&p, copy), e, j->result_run);
}

// y = A^T P A of the products P, with bias and slope.
static void finish_results(const struct job *j, int64_t t, int64_t rows, float *products, float *copy) {
    for (int64_t i = 0; i < rows; i++) {
        struct patch p = results(j, j->out, t + i);
        int inside = patch_is_inside(&p);
        struct tile to = inside ? patch_in_place(&p) : patch_in_copy(&p, copy);
        j->f->finish(matrix_row(j, products, i, rows, j->e_row), to, j->result_run, j->bias, j->slope);
        if (!inside) copy_patch(&p, copy, WRITE);
    }
}

// x = bias before anything is added.
static void begin_image(const struct job *j, float *image) {
    const struct geometry *s = &j->s;
    if (!j->bias) {
        memset(image, 0, s->h * s->w * s->c * sizeof(float));
        return;
    }
    for (int64_t pixel = 0; pixel < s->h * s->w; pixel++)
        memcpy(image + pixel * s->c, j->bias, s->c * sizeof(float));
}

// x += B^T P B of the products P. Whoever comes to the first tile of an image begins it.
static void add_windows(const struct job *j, int64_t t, int64_t rows, float *products, float *copy) {
    int64_t each = j->down * j->across, stride = j->s.sh;
    for (int64_t i = 0; i < rows; i++) {
        struct patch p = window(j, j->out, t + i);
        if ((t + i) % each == 0) begin_image(j, p.image);
        int inside = patch_is_inside(&p);
        if (!inside) memset(copy, 0, patch_size(&p) * sizeof(float));
        struct tile from = matrix_row(j, products, i, rows, j->v_row), to = inside ? patch_in_place(&p) : patch_in_copy(&p, copy);
        for (int64_t phase = 0; phase < stride; phase++)
            j->f->add_image(channels_from(from, phase * stride * j->s.c), phase_of(to, phase, stride), j->run);
        if (!inside) copy_patch(&p, copy, ADD);
    }
}

// R^2 products: out = a U, of `rows` x `depth` and depth x n elements.
static void multiply(const struct job *j, const float *a, int64_t a_row, float *out, int64_t out_row, int64_t rows,
                     int64_t n, int64_t depth) {
    for (int64_t q = 0; q < j->matrices; q++)
        product(a + q * rows * a_row, a_row, j->u + q * packed_size(depth, n), out + q * rows * out_row, out_row, rows,
                n, depth, 0);
}

// --- kernels --------------------------------------------------------------------------------------------------

// Tap (a, b) of output channel o: s C floats of one phase.
static const float *tap(const struct job *j, int64_t o, int64_t a, int64_t b, int64_t phase) {
    const struct geometry *s = &j->s;
    return j->w + ((o * s->kh + a * s->sh + phase) * s->kh + b * s->sh) * s->c;
}

// A strip of taps, r x r of them side by side, to the same strip of U.
static void transform_taps(const struct job *j, float *taps, float *strip, int64_t matrix, int64_t run) {
    int64_t r = j->f->r;
    j->f->kernel((struct tile){taps, r * run, run}, (struct tile){strip, j->size * matrix, matrix}, run);
}

// U for y = V U^T: its depth are the channels of x, its columns those of y. A part is one phase of one strip.
static void kernel_part(void *argument, int64_t part, int64_t parts, float *taps) {
    const struct job *j = argument;
    const struct geometry *s = &j->s;
    int64_t r = j->f->r, phase = part % s->sh, first = part / s->sh * WIDTH;
    int64_t width = strip_width(s->o - first), channels = s->sh * s->c, run = channels * width;
    (void)parts;
    for (int64_t a = 0; a < r; a++)
        for (int64_t b = 0; b < r; b++)
            pack_strip(tap(j, first, a, b, phase), 1, s->kh * s->kh * s->c, channels,
                       smaller(s->o - first, WIDTH), taps + (a * r + b) * run);
    transform_taps(j, taps, j->u + first * j->depth + phase * run, packed_size(j->depth, s->o), run);
}

static int64_t kernel_parts(const struct job *j) { return ceil_div(j->s.o, WIDTH) * j->s.sh; }

static size_t kernel_scratch(const struct job *j) { return j->f->r * j->f->r * j->s.sh * j->s.c * WIDTH; }

#define OUTS 32  // channels of y that are transformed together

// U for x = E U: its depth are the channels of y, its columns those of x. A part is OUTS rows of one strip.
static void transposed_kernel_part(void *argument, int64_t part, int64_t parts, float *taps) {
    const struct job *j = argument;
    const struct geometry *s = &j->s;
    int64_t blocks = ceil_div(s->o, OUTS), r = j->f->r, channels = s->sh * s->c;
    int64_t first_o = part % blocks * OUTS, outs = smaller(s->o - first_o, OUTS);
    int64_t first = part / blocks * WIDTH, end = smaller(j->depth, first + WIDTH);
    int64_t width = strip_width(j->depth - first), run = outs * width;
    (void)parts;
    for (int64_t a = 0; a < r; a++)
        for (int64_t b = 0; b < r; b++)
            for (int64_t o = 0; o < outs; o++) {
                float *line = taps + (a * r + b) * run + o * width;
                for (int64_t l = first; l < end;) {
                    int64_t phase = l / channels, next = smaller(end, (phase + 1) * channels);
                    memcpy(line + l - first, tap(j, first_o + o, a, b, phase) + l % channels,
                           (next - l) * sizeof(float));
                    l = next;
                }
                memset(line + end - first, 0, (width - (end - first)) * sizeof(float));
            }
    transform_taps(j, taps, j->u + first * s->o + first_o * width, packed_size(s->o, j->depth), run);
}

static int64_t transposed_kernel_parts(const struct job *j) {
    return ceil_div(j->depth, WIDTH) * ceil_div(j->s.o, OUTS);
}

static size_t transposed_kernel_scratch(const struct job *j) { return j->f->r * j->f->r * OUTS * WIDTH; }

// w = G^T (E^T V) G of one output channel.
static void kernel_back_part(void *argument, int64_t part, int64_t parts, float *copy) {
    const struct job *j = argument;
    const struct geometry *s = &j->s;
    int64_t r = j->f->r, channels = s->sh * s->c;
    (void)parts;
    for (int64_t phase = 0; phase < s->sh; phase++) {
        struct tile from = {j->sums + part * j->v_row + phase * channels, j->size * s->o * j->v_row, s->o * j->v_row};
        float *w = j->out + (part * s->kh + phase) * s->kh * s->c;
        if (j->run == channels) {
            j->f->kernel_back(from, (struct tile){w, s->sh * s->kh * s->c, channels}, j->run);
            continue;
        }
        j->f->kernel_back(from, (struct tile){copy, r * j->run, j->run}, j->run);
        for (int64_t a = 0; a < r; a++)
            for (int64_t b = 0; b < r; b++)
                memcpy(w + a * s->sh * s->kh * s->c + b * channels, copy + (a * r + b) * j->run,
                       channels * sizeof(float));
    }
}

// --- the faces -------------------------------------------------------------------------------------------------

#define CACHE (1 << 18)   // floats of V and E that a core's cache holds
#define FEWEST (3 * ROWS)  // tiles of a block, so that U is not read too often
#define MOST (8 * ROWS)

// Tiles whose transforms stay in the cache.
static int64_t cached_block(const struct job *j) {
    int64_t fit = CACHE / (j->matrices * (j->v_row + j->e_row)) / ROWS * ROWS;
    return smaller(larger(1, j->tiles), smaller(MOST, larger(FEWEST, fit)));
}

static size_t block_scratch(const struct job *j) {
    return j->block * j->matrices * (j->v_row + j->e_row) + copy_floats(j);
}

// The bias in whole vectors, in memory that is to be given back; NULL if there is none.
static int borrow_bias(struct job *j, const float *bias, int64_t n) {
    if (!bias) return 0;
    float *whole = borrow(round_up(n, LANES));
    if (!whole) return 1;
    memset(whole, 0, round_up(n, LANES) * sizeof(float));
    memcpy(whole, bias, n * sizeof(float));
    j->bias = whole;
    return 0;
}

static void conv_part(void *argument, int64_t part, int64_t parts, float *scratch) {
    const struct job *j = argument;
    int64_t t = part * j->block, rows = smaller(j->tiles - t, j->block);
    float *v = scratch, *products = v + j->matrices * j->block * j->v_row;
    float *copy = products + j->matrices * j->block * j->e_row;
    (void)parts;
    for (int64_t i = 0; i < rows; i++) transform_window(j, t + i, matrix_row(j, v, i, rows, j->v_row), copy);
    multiply(j, v, j->v_row, products, j->e_row, rows, j->s.o, j->depth);
    finish_results(j, t, rows, products, copy);
}

// y = act(conv(x, w) + bias), act(z) = z > 0 ? z : slope z, as F(m, r). bias (O) may be NULL.
EXPORT int winograd_conv(const struct geometry *s, int64_t m, const float *x, const float *w, const float *bias,
                         float slope, float *y) {
    struct job j = new_job(s, find_algorithm(m, s->kh / s->sh));
    j.x = x, j.w = w, j.out = y, j.slope = slope;
    j.block = cached_block(&j);
    j.u = borrow(j.matrices * packed_size(j.depth, s->o));
    int failed = !j.u || borrow_bias(&j, bias, s->o) || share(kernel_part, &j, kernel_parts(&j), kernel_scratch(&j)) ||
                 share(conv_part, &j, ceil_div(j.tiles, j.block), block_scratch(&j));
    give_back((float *)j.bias);
    give_back(j.u);
    return failed;
}

// The part-th of equal shares of the images: no two parts add to the same one.
static void input_part(void *argument, int64_t part, int64_t parts, float *scratch) {
    const struct job *j = argument;
    int64_t each = j->down * j->across, end = j->s.n * (part + 1) / parts * each;
    float *v = scratch, *e = v + j->matrices * j->block * j->v_row, *copy = e + j->matrices * j->block * j->e_row;
    for (int64_t t = j->s.n * part / parts * each; t < end; t += j->block) {
        int64_t rows = smaller(end - t, j->block);
        for (int64_t i = 0; i < rows; i++) transform_result(j, t + i, matrix_row(j, e, i, rows, j->e_row), copy);
        multiply(j, e, j->e_row, v, j->v_row, rows, j->depth, j->s.o);
        add_windows(j, t, rows, v, copy);
    }
}

// x = the x-slot of the trilinear form, the input gradient, + bias (C), which may be NULL; as F(m, r).
EXPORT int winograd_input(const struct geometry *s, int64_t m, const float *w, const float *y, const float *bias,
                          float *x) {
    struct job j = new_job(s, find_algorithm(m, s->kh / s->sh));
    j.w = w, j.y = y, j.out = x;
    j.block = cached_block(&j);
    int64_t images = larger(1, j.block / (j.down * j.across));
    j.u = borrow(j.matrices * packed_size(s->o, j.depth));
    int failed = !j.u || borrow_bias(&j, bias, s->c) ||
                 share(transposed_kernel_part, &j, transposed_kernel_parts(&j), transposed_kernel_scratch(&j)) ||
                 share(input_part, &j, ceil_div(s->n, images), block_scratch(&j));
    give_back((float *)j.bias);
    give_back(j.u);
    return failed;
}

#define BLOCK 256       // tiles over which a product of the weight gradient sums
#define TILES 8         // of a part of their transforms
#define OUTS_OF_PART (8 * ROWS)

// What the parts of one block share: its first tile and its number of tiles.
struct block {
    const struct job *j;
    int64_t t, rows;
};

static void transform_part(void *argument, int64_t part, int64_t parts, float *copy) {
    const struct block *b = argument;
    const struct job *j = b->j;
    (void)parts;
    for (int64_t i = part * TILES; i < smaller(b->rows, (part + 1) * TILES); i++) {
        transform_window(j, b->t + i, matrix_row(j, j->v, i, b->rows, j->v_row), copy);
        transform_result(j, b->t + i, matrix_row(j, j->e, i, b->rows, j->e_row), copy);
    }
}

// Some rows of one of the R^2 products E^T V.
static void sums_part(void *argument, int64_t part, int64_t parts, float *scratch) {
    const struct block *b = argument;
    const struct job *j = b->j;
    int64_t q = part % j->matrices, first = part / j->matrices * OUTS_OF_PART;
    int64_t end = smaller(j->s.o, first + OUTS_OF_PART);
    (void)parts, (void)scratch;
    for (int64_t column = 0; column < j->depth; column += WIDTH)
        for (int64_t o = first; o < end; o += ROWS) {
            struct outer_tile tile = {
                .a = j->e + q * b->rows * j->e_row + o,
                .b = j->v + q * b->rows * j->v_row + column,
                .a_step = j->e_row,
                .b_step = j->v_row,
                .lines = 1,
                .steps = b->rows,
                .rows = smaller(end - o, ROWS),
                .columns = smaller(j->depth - column, WIDTH),
                .y = j->sums + (q * j->s.o + o) * j->v_row + column,
                .y_row = j->v_row,
                .add = b->t > 0,
            };
            outer_tile(&tile);
        }
}

// w = the w-slot of the trilinear form, the weight gradient, as F(m, r): sums in the order of the tiles.
EXPORT int winograd_weight(const struct geometry *s, int64_t m, const float *x, const float *y, float *w) {
    struct job j = new_job(s, find_algorithm(m, s->kh / s->sh));
    if (j.tiles == 0) {
        memset(w, 0, s->o * s->kh * s->kh * s->c * sizeof(float));
        return 0;
    }
    j.x = x, j.y = y, j.out = w;
    j.block = smaller(j.tiles, BLOCK);
    j.v = borrow(j.matrices * j.block * j.v_row);
    j.e = borrow(j.matrices * j.block * j.e_row);
    j.sums = borrow(j.matrices * s->o * j.v_row);
    int failed = !j.v || !j.e || !j.sums;
    for (int64_t t = 0; t < j.tiles && !failed; t += j.block) {
        struct block b = {&j, t, smaller(j.tiles - t, j.block)};
        failed = share(transform_part, &b, ceil_div(b.rows, TILES), copy_floats(&j)) ||
                 share(sums_part, &b, j.matrices * ceil_div(s->o, OUTS_OF_PART), 0);
    }
    failed = failed || share(kernel_back_part, &j, s->o, j.f->r * j.f->r * j.run);
    give_back(j.sums);
    give_back(j.e);
    give_back(j.v);
    return failed;
}
