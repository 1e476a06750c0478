// The input gradient of a convolution whose images x have few channels: too few to be the columns of a tile.
//
// What a pixel of y gives to each tap of its window is a product with all taps as columns. Turned round, these are
// rows of pixels, one row for each tap and channel, and are added where they lie in x: x as planes, one for each
// channel and each phase of the stride, so that neighbours of y give to neighbours in a plane.
#include "product.h"
#include "windows.h"

struct job {
    struct geometry s;
    const float *w, *y, *bias;
    float *x, *strips;
    int64_t channels, outs, size;   // of a group, and floats of a window
    int64_t row;                    // size, rounded up to whole vectors
    int64_t down, across;           // rows and columns of a plane
    int64_t rows;                   // of y that are multiplied at once
};

#define PIXELS (8 * ROWS)  // that are multiplied at once, about

// found (pixels, row) = the products of `pixels` pixels of y with the kernel of a group.
static void multiply(const struct job *j, int64_t group, const float *y, int64_t pixels, float *found) {
    const float *strips = j->strips + group * packed_size(j->outs, j->size);
    product(y, j->s.o, strips, found, j->row, pixels, j->row, j->outs, 0);
}

// Adds what `rows` rows of y from `first` on give to the planes. taps (size, rows * ow).
static void add_taps(const struct job *j, const float *taps, int64_t first, int64_t rows, float *planes) {
    const struct geometry *s = &j->s;
    int64_t plane = j->down * j->across;
    for (int64_t i = 0; i < s->kh; i++)
        for (int64_t k = 0; k < s->kw; k++) {
            int64_t phase = i * s->dh % s->sh * s->sw + k * s->dw % s->sw;
            int64_t start = (first + i * s->dh / s->sh) * j->across + k * s->dw / s->sw;
            for (int64_t c = 0; c < j->channels; c++) {
                float *to = planes + (c * s->sh * s->sw + phase) * plane + start;
                for (int64_t r = 0; r < rows; r++, to += j->across, taps += s->ow)
                    for (int64_t p = 0; p < s->ow; p++) to[p] += taps[p];
            }
        }
}

// x (h, w, c) of one image and group from its planes, plus bias.
static void put(const struct job *j, int64_t group, const float *planes, float *x) {
    const struct geometry *s = &j->s;
    int64_t plane = j->down * j->across;
    for (int64_t c = 0; c < j->channels; c++) {
        float bias = j->bias ? j->bias[group * j->channels + c] : 0;
        for (int64_t h = 0; h < s->h; h++) {
            int64_t down = h + s->top, phase = c * s->sh * s->sw + down % s->sh * s->sw;
            const float *from = planes + phase * plane + down / s->sh * j->across;
            for (int64_t b = 0; b < s->sw; b++, from += plane) {  // the columns of one phase
                int64_t first = s->left <= b ? 0 : ceil_div(s->left - b, s->sw);
                for (int64_t k = first, to = first * s->sw + b - s->left; to < s->w; k++, to += s->sw)
                    x[(h * s->w + to) * s->c + c] = from[k] + bias;
            }
        }
    }
}

// One image.
static void planes_part(void *job, int64_t image, int64_t images, float *scratch) {
    (void)images;
    const struct job *j = job;
    const struct geometry *s = &j->s;
    int64_t all = j->channels * s->sh * s->sw * j->down * j->across, found = j->rows * s->ow * j->row;
    float *planes = scratch, *by_pixel = planes + all, *by_tap = by_pixel + found;
    for (int64_t g = 0; g < s->groups; g++) {
        memset(planes, 0, all * sizeof(float));
        for (int64_t row = 0; row < s->oh; row += j->rows) {
            int64_t rows = smaller(j->rows, s->oh - row), pixels = rows * s->ow;
            multiply(j, g, j->y + ((image * s->oh + row) * s->ow) * s->o + g * j->outs, pixels, by_pixel);
            transpose(by_pixel, j->row, pixels, j->size, by_tap, pixels);
            add_taps(j, by_tap, row, rows, planes);
        }
        put(j, g, planes, j->x + image * s->h * s->w * s->c + g * j->channels);
    }
}

// x = the input gradient of y, plus bias, which may be NULL. w lies as (O, kh, kw, C / groups).
EXPORT int planes_input(const struct geometry *s, const float *w, const float *y, const float *bias, float *x) {
    struct job j = {.s = *s, .w = w, .y = y, .bias = bias, .x = x, .channels = s->c / s->groups, .outs = s->o / s->groups};
    j.size = s->kh * s->kw * j.channels;
    j.row = round_up(j.size, LANES);
    // whole planes of x, and all that windows reach
    j.down = larger(s->oh + (s->kh - 1) * s->dh / s->sh, (s->h - 1 + s->top) / s->sh + 1);
    j.across = larger(s->ow + (s->kw - 1) * s->dw / s->sw, (s->w - 1 + s->left) / s->sw + 1);
    j.rows = larger(1, smaller(s->oh, PIXELS / s->ow));
    j.strips = borrow(s->groups * packed_size(j.outs, j.size));
    if (!j.strips) return 1;
    for (int64_t g = 0; g < s->groups; g++)
        for (int64_t column = 0; column < j.size; column += WIDTH)
            pack_strip(
                w + g * j.outs * j.size + column, j.size, 1, j.outs, smaller(j.size - column, WIDTH),
                j.strips + g * packed_size(j.outs, j.size) + column * j.outs);
    size_t scratch = j.channels * s->sh * s->sw * j.down * j.across + 2 * j.rows * s->ow * j.row;
    int failed = share(planes_part, &j, s->n, scratch);
    give_back(j.strips);
    return failed;
}
