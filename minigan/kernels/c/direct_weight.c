// The weight gradient of a convolution: w (O, kh kw C) = the sum over pixels of y^T times windows of x.
//
// A block of windows is copied, each as a row, and multiplied with their pixels of y as they lie. Threads share the
// pixels, each with sums of its own, which are added in their order afterwards; and, where these would take much
// memory, the channels of y too.
#include "product.h"
#include "windows.h"

#define PARTS_EACH 4            // parts for each thread, if there are so many
#define PIXELS 256              // of y that a part has, at least
#define SUMS (1 << 22)          // floats of the sums of all parts, at most
#define BLOCK (1 << 18)         // floats of the windows that are multiplied at once, about
#define CACHED (1 << 17)        // floats of an image that are copied at once, about
#define LINE 16                 // floats of a cache line
#define MOST_COPIED 256         // windows of a block

struct job {
    struct geometry s;
    struct windows windows;     // of the first group
    const float *x, *y;
    float *w, *sums;            // of each chunk of pixels, one after the other
    int64_t size, row;          // floats of a window, and from one copy to the next
    int64_t outs, outs_each;    // channels of y in a group, and of a part
    int64_t pixels, block;      // of y in all images, and of those that are multiplied at once
    int64_t view_rows;          // rows of windows whose part of the image is copied at once
    int64_t chunks, slices;     // of pixels and of channels
};

// sum (O, size) += what `pixels` windows and as many pixels of y contribute.
static void multiply(
    const struct job *j, const float *windows, const float *y, int64_t pixels, int64_t outs, float *sum) {
    struct outer_tile t = {
        .a_step = j->s.o, .b_step = j->row, .lines = 1, .steps = pixels, .y_row = j->size, .add = 1,
    };
    for (int64_t column = 0; column < j->size; column += WIDTH) {
        t.b = windows + column;
        t.columns = smaller(j->size - column, WIDTH);
        for (int64_t o = 0; o < outs; o += ROWS) {
            t.a = y + o;
            t.rows = smaller(outs - o, ROWS);
            t.y = sum + o * j->size + column;
            outer_tile(&t);
        }
    }
}

// Pixels first .. end of y, counted through all images; some channels of one group.
static void weight_of_pixels(
    const struct job *j, int64_t group, int64_t out, int64_t outs, int64_t first, int64_t end, float *sum,
    float *scratch) {
    const struct windows *v = &j->windows;
    const float *y = j->y + group * j->outs + out;
    float *copies = scratch, *copy = scratch + j->block * j->row;
    int64_t per_image = v->rows * v->columns, filled = 0;
    for (int64_t p = first; p < end;) {
        int64_t image = p / per_image, row = p % per_image / v->columns, column = p % v->columns;
        int64_t rows = smaller(j->view_rows, v->rows - row);
        int64_t last = smaller(end, image * per_image + (row + rows) * v->columns);
        const float *x = j->x + image * j->s.h * j->s.w * j->s.c + group * v->channels;
        struct view seen = view(v, x, row, rows, 1, copy);
        for (int64_t some; p < last; p += some, column += some) {
            some = smaller(last - p, j->block - filled);
            copy_windows(v, seen, column / v->columns, column % v->columns, some, copies + filled * j->row, j->row);
            filled += some;
            if (filled < j->block && p + some < end) continue;
            multiply(j, copies, y + (p + some - filled) * j->s.o, filled, outs, sum);
            filled = 0;
        }
    }
}

static void weight_part(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)parts;
    const struct job *j = job;
    int64_t slice = part % j->slices, chunk = part / j->slices;
    int64_t first = j->pixels * chunk / j->chunks, end = j->pixels * (chunk + 1) / j->chunks;
    int64_t out = slice * j->outs_each, outs = smaller(j->outs_each, j->outs - out);
    for (int64_t g = 0; g < j->s.groups; g++) {
        float *sum = j->sums + ((chunk * j->s.groups + g) * j->outs + out) * j->size;
        memset(sum, 0, outs * j->size * sizeof(float));
        weight_of_pixels(j, g, out, outs, first, end, sum, scratch);
    }
}

// w = the sum over chunks, in their order, of some of its floats.
static void add_part(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)scratch;
    const struct job *j = job;
    int64_t all = j->s.o * j->size, first = all * part / parts, end = all * (part + 1) / parts;
    memcpy(j->w + first, j->sums + first, (end - first) * sizeof(float));
    for (int64_t chunk = 1; chunk < j->chunks; chunk++) {
        const float *sum = j->sums + chunk * all;
        for (int64_t k = first; k < end; k++) j->w[k] += sum[k];
    }
}

// w (O, kh, kw, C / groups) = the weight gradient. y has at least one pixel.
EXPORT int direct_weight(const struct geometry *s, const float *x, const float *y, float *w) {
    struct job j = {.s = *s, .windows = windows_of(s), .x = x, .y = y, .w = w, .outs = s->o / s->groups};
    j.size = window_size(&j.windows);
    j.row = round_up(copy_stride(&j.windows), 2 * LINE) + LINE;  // an odd number of lines: not all in the same sets
    j.pixels = s->n * s->oh * s->ow;
    j.block = smaller(j.pixels, larger(ROWS, smaller(MOST_COPIED, BLOCK / j.row)));
    j.view_rows = ceil_div(s->oh, ceil_div(view_size(&j.windows, s->oh), CACHED));
    int64_t wanted = threads() * PARTS_EACH;
    j.chunks = larger(1, smaller(smaller(wanted, j.pixels / PIXELS), SUMS / (s->o * j.size)));
    j.outs_each = smaller(j.outs, larger(4 * ROWS, round_up(ceil_div(j.outs, ceil_div(wanted, j.chunks)), ROWS)));
    j.slices = ceil_div(j.outs, j.outs_each);
    j.sums = j.chunks == 1 ? w : borrow(j.chunks * s->o * j.size);
    if (!j.sums) return 1;
    size_t scratch = j.block * j.row + view_size(&j.windows, j.view_rows);
    int failed = share(weight_part, &j, j.chunks * j.slices, scratch);
    if (j.chunks > 1) {
        failed = failed || share(add_part, &j, threads(), 0);
        give_back(j.sums);
    }
    return failed;
}
