// Images with their border of zeros, and windows copied from them.
#include "windows.h"

struct windows windows_of(const struct geometry *s) {
    return (struct windows){
        .height = s->h, .width = s->w, .pixel = s->c, .channels = s->c / s->groups,
        .kh = s->kh, .kw = s->kw, .dh = s->dh, .dw = s->dw, .sh = s->sh, .sw = s->sw,
        .top = s->top, .left = s->left, .rows = s->oh, .columns = s->ow,
    };
}

static int64_t height_of(const struct windows *v, int64_t rows) {
    return (rows - 1) * v->sh + larger(v->kh - 1, 0) * v->dh + 1;
}

static int64_t width_of(const struct windows *v) {
    return (v->columns - 1) * v->sw + larger(v->kw - 1, 0) * v->dw + 1;
}

int64_t view_size(const struct windows *v, int64_t rows) {
    return height_of(v, rows) * width_of(v) * v->channels + LANES;
}

// Some channels of `pixels` pixels of a row; LANES floats past the last one may be written.
static void copy_pixels(const struct windows *v, const float *from, int64_t pixels, float *to) {
    if (v->channels == v->pixel) {
        memcpy(to, from, pixels * v->channels * sizeof(float));
        return;
    }
    for (int64_t p = 0; p < pixels; p++, from += v->pixel, to += v->channels)
        memcpy(to, from, v->channels * sizeof(float));
}

struct view view(
    const struct windows *v, const float *image, int64_t first, int64_t rows, int copied, float *copy) {
    int64_t top = first * v->sh - v->top, left = -v->left, height = height_of(v, rows), width = width_of(v);
    int inside = top >= 0 && left >= 0 && top + height <= v->height && left + width <= v->width;
    if (inside && v->channels == v->pixel && !copied)
        return (struct view){image + (top * v->width + left) * v->pixel, v->width * v->pixel, v->pixel};
    int64_t row = width * v->channels;
    int64_t begin = smaller(larger(-left, 0), width), end = larger(smaller(v->width - left, width), begin);
    float *to = copy;
    for (int64_t i = top; i < top + height; i++, to += row) {
        if (i < 0 || i >= v->height) {
            memset(to, 0, row * sizeof(float));
            continue;
        }
        memset(to, 0, begin * v->channels * sizeof(float));
        copy_pixels(v, image + (i * v->width + left + begin) * v->pixel, end - begin, to + begin * v->channels);
        memset(to + end * v->channels, 0, (width - end) * v->channels * sizeof(float));
    }
    return (struct view){copy, row, v->channels};
}

// The same run of each of `count` windows of a row, in whole vectors.
static void copy_runs(
    const float *from, int64_t from_step, int64_t run, int64_t count, float *to, int64_t to_step) {
    for (int64_t w = 0; w < count; w++, from += from_step, to += to_step)
        for (int64_t k = 0; k < run; k += LANES) store(to + k, load(from + k));
}

void copy_windows(
    const struct windows *v, struct view seen, int64_t row, int64_t column, int64_t count, float *to, int64_t stride) {
    int64_t runs = v->dw == 1 ? 1 : v->kw, run = v->dw == 1 ? v->kw * v->channels : v->channels;
    for (int64_t some; count > 0; count -= some, to += some * stride, column = 0, row++) {
        some = smaller(count, v->columns - column);
        const float *first = seen.at + row * v->sh * seen.row + column * v->sw * seen.pixel;
        for (int64_t i = 0; i < v->kh; i++)
            for (int64_t j = 0; j < runs; j++)
                copy_runs(
                    first + i * v->dh * seen.row + j * v->dw * seen.pixel, v->sw * seen.pixel, run, some,
                    to + (i * runs + j) * run, stride);
    }
}
