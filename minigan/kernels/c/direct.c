// The convolution and its input gradient as they are defined: rows of windows times strips of the kernel.
//
// The rows of a tile are pixels of the result, each with its window where it lies in the image: kh runs of kw C floats.
// Where those runs are short or dilated, windows are copied first.
//
// The input gradient with stride s consists of s x s such convolutions on y, one for each phase of x's pixels: the
// pixels whose coordinates, counted from the border's corner, are (I s + a, J s + b) see only the taps i with
// i d = a (mod s), and of y the row I - (i d - a) / s: again windows, of stride 1 and dilation d / gcd(s, d).
#include "product.h"
#include "windows.h"

#define CHUNK (8 * ROWS)        // windows that meet a strip one after the other
#define SHORT (2 * LANES)       // floats of a run below which windows are copied
#define CACHED (1 << 17)        // floats of an image that one part sees, about
#define PARTS_EACH 4            // parts for each thread, if there are so many

// A convolution whose result is some pixels of an image.
struct phase {
    struct windows windows;     // of the first group
    int64_t depth, columns;     // of the kernel as a matrix
    float *strips;              // of each group, one after the other
    int64_t first, down, across;  // the pixel of the first window in the result, and the floats to the next ones
};

struct job {
    const float *image, *w, *bias;
    float *result;
    float slope;
    int64_t images, image_size, result_size;  // floats of an image
    int64_t groups, phases;
    struct phase *phase;
    int64_t blocks;      // of rows of windows, each a part
    struct geometry s;   // of the input gradient
};

// --- rows of windows ------------------------------------------------------------------------------------------

static int is_copied(const struct windows *v) {
    return (v->dw != 1 && v->kw > 1) || v->kw * v->channels < SHORT;
}

static int64_t first_row(const struct phase *p, int64_t block, int64_t blocks) {
    return p->windows.rows * block / blocks;
}

static int64_t copies_size(const struct windows *v) { return is_copied(v) ? CHUNK * copy_stride(v) : 0; }

// What rows first .. end of the windows contribute; one group of one image.
static void convolve_rows(
    const struct job *j, const struct phase *p, int64_t group, const float *image, float *result, int64_t first,
    int64_t end, float *scratch) {
    const struct windows *v = &p->windows;
    int copied = is_copied(v);
    int64_t stride = copy_stride(v), windows = (end - first) * v->columns;
    float *copies = scratch;
    struct view seen = view(v, image, first, end - first, copied, scratch + copies_size(v));
    const float *from[CHUNK];
    float *to[CHUNK];
    const float *strips = p->strips + group * packed_size(p->depth, p->columns);
    struct product_tile t = {
        .runs = copied ? 1 : v->kh,
        .step = v->dh * seen.row,
        .length = copied ? window_size(v) : v->kw * v->channels,
        .bias = j->bias ? j->bias + group * p->columns : NULL,
        .slope = j->slope,
    };
    int64_t row = 0, column = 0;
    for (int64_t done = 0; done < windows; done += CHUNK) {
        int64_t some = smaller(windows - done, CHUNK);
        if (copied) copy_windows(v, seen, row, column, some, copies, stride);
        for (int64_t r = 0; r < some; r++) {
            from[r] = copied ? copies + r * stride : seen.at + row * v->sh * seen.row + column * v->sw * seen.pixel;
            to[r] = result + (first + row) * p->down + column * p->across;
            if (++column == v->columns) {
                column = 0;
                row++;
            }
        }
        for (t.j = 0; t.j < p->columns; t.j += WIDTH) {
            t.b = strips + t.j * p->depth;
            t.columns = smaller(p->columns - t.j, WIDTH);
            for (int64_t r = 0; r < some; r += ROWS) {
                t.rows = smaller(some - r, ROWS);
                t.a = from + r;
                t.y = to + r;
                product_tile(&t);
            }
        }
    }
}

// One block of rows of one image: all phases and groups of it.
static void convolve_part(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)parts;
    const struct job *j = job;
    int64_t image = part / j->blocks, block = part % j->blocks;
    for (const struct phase *p = j->phase; p < j->phase + j->phases; p++) {
        int64_t first = first_row(p, block, j->blocks), end = first_row(p, block + 1, j->blocks);
        if (first == end || p->windows.columns == 0) continue;
        for (int64_t g = 0; g < j->groups; g++) {
            const float *from = j->image + image * j->image_size + g * p->windows.channels;
            float *to = j->result + image * j->result_size + p->first + g * p->columns;
            convolve_rows(j, p, g, from, to, first, end, scratch);
        }
    }
}

// All parts, once strips are packed.
static int convolve(struct job *j) {
    int64_t seen = 1, scratch = 0;
    for (int64_t k = 0; k < j->phases; k++) {
        const struct windows *v = &j->phase[k].windows;
        seen = larger(seen, view_size(v, v->rows));
    }
    j->blocks = larger(ceil_div(seen, CACHED), ceil_div(threads() * PARTS_EACH, j->images));
    int64_t least = larger(1, CHUNK / larger(1, j->phase->windows.columns));  // rows of a block
    j->blocks = larger(1, smaller(j->blocks, j->phase->windows.rows / least));
    for (int64_t k = 0; k < j->phases; k++) {
        const struct windows *v = &j->phase[k].windows;
        scratch = larger(scratch, copies_size(v) + view_size(v, ceil_div(v->rows, j->blocks) + 1));
    }
    return share(convolve_part, j, j->images * j->blocks, scratch);
}

// --- the convolution --------------------------------------------------------------------------------------------

// Packs one strip of w, a matrix with one row for each channel of y: part = (group, strip).
static void pack_part(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)scratch;
    const struct job *j = job;
    const struct phase *p = j->phase;
    int64_t strips = parts / j->groups, group = part / strips, column = part % strips * WIDTH;
    pack_strip(
        j->w + (group * p->columns + column) * p->depth, 1, p->depth, p->depth, smaller(p->columns - column, WIDTH),
        p->strips + group * packed_size(p->depth, p->columns) + column * p->depth);
}

// y = act(conv(x, w) + bias); bias may be NULL. w lies as (O, kh, kw, C / groups).
EXPORT int direct_conv(
    const struct geometry *s, const float *x, const float *w, const float *bias, float slope, float *y) {
    struct phase p = {.windows = windows_of(s), .columns = s->o / s->groups, .down = s->ow * s->o, .across = s->o};
    p.depth = window_size(&p.windows);
    struct job j = {
        .image = x, .w = w, .bias = bias, .result = y, .slope = slope, .images = s->n,
        .image_size = s->h * s->w * s->c, .result_size = s->oh * s->ow * s->o, .groups = s->groups, .phases = 1,
        .phase = &p,
    };
    p.strips = borrow(s->groups * packed_size(p.depth, p.columns));
    int failed = !p.strips || share(pack_part, &j, s->groups * ceil_div(p.columns, WIDTH), 0) || convolve(&j);
    give_back(p.strips);
    return failed;
}

// --- its input gradient -------------------------------------------------------------------------------------------

// The taps of one axis that meet the pixels of one phase: `first`, first + every, ..., `count` of them.
struct taps {
    int64_t first, every, count;
    int64_t shift, dilation;  // they see y at I - shift, I - shift - dilation, ...
};

static struct taps taps_of(int64_t phase, int64_t kernel, int64_t dilation, int64_t stride) {
    struct taps t = {.every = 1};
    while (t.every * dilation % stride) t.every++;
    while (t.first < t.every && t.first * dilation % stride != phase) t.first++;
    if (t.first < t.every && t.first < kernel) t.count = ceil_div(kernel - t.first, t.every);
    t.shift = t.count ? (t.first * dilation - phase) / stride : 0;
    t.dilation = t.every * dilation / stride;
    return t;
}

// One axis of the windows on y of a phase, and the first pixel of x.
struct axis {
    struct taps taps;
    int64_t first, count;  // the first pixel of x and how many the phase has
    int64_t before;        // pixels of y that its first window begins before the first one
};

static struct axis axis_of(int64_t phase, int64_t pixels, int64_t pad, int64_t kernel, int64_t dilation, int64_t stride) {
    struct axis a = {.taps = taps_of(phase, kernel, dilation, stride)};
    int64_t begin = pad <= phase ? 0 : ceil_div(pad - phase, stride);  // I of the first pixel inside
    a.first = begin * stride + phase - pad;
    a.count = a.first < pixels ? ceil_div(pixels - a.first, stride) : 0;
    a.before = larger(a.taps.count - 1, 0) * a.taps.dilation + a.taps.shift - begin;
    return a;
}

static struct axis rows_of(const struct geometry *s, int64_t phase) {
    return axis_of(phase / s->sw, s->h, s->top, s->kh, s->dh, s->sh);
}

static struct axis columns_of(const struct geometry *s, int64_t phase) {
    return axis_of(phase % s->sw, s->w, s->left, s->kw, s->dw, s->sw);
}

static struct phase phase_of(const struct geometry *s, int64_t phase) {
    struct axis rows = rows_of(s, phase), columns = columns_of(s, phase);
    struct phase p = {
        .windows = {
            .height = s->oh, .width = s->ow, .pixel = s->o, .channels = s->o / s->groups,
            .kh = rows.taps.count, .kw = columns.taps.count, .dh = rows.taps.dilation, .dw = columns.taps.dilation,
            .sh = 1, .sw = 1, .top = rows.before, .left = columns.before, .rows = rows.count,
            .columns = columns.count,
        },
        .columns = s->c / s->groups,
        .first = (rows.first * s->w + columns.first) * s->c,
        .down = s->sh * s->w * s->c,
        .across = s->sw * s->c,
    };
    p.depth = window_size(&p.windows);
    return p;
}

// Packs one strip of one phase and group: a window's taps in the order of y's pixels are the kernel's, backwards.
static void pack_phase_part(void *job, int64_t part, int64_t parts, float *scratch) {
    (void)scratch;
    const struct job *j = job;
    const struct geometry *s = &j->s;
    int64_t strips = parts / j->phases / j->groups, column = part % strips * WIDTH;
    int64_t group = part / strips % j->groups, phase = part / strips / j->groups;
    const struct phase *p = j->phase + phase;
    struct taps rows = rows_of(s, phase).taps, columns = columns_of(s, phase).taps;
    int64_t outs = p->windows.channels, size = s->kh * s->kw * p->columns, some = smaller(p->columns - column, WIDTH);
    const float *w = j->w + group * outs * size + column;
    float *strip = p->strips + group * packed_size(p->depth, p->columns) + column * p->depth;
    for (int64_t a = rows.count - 1; a >= 0; a--)
        for (int64_t b = columns.count - 1; b >= 0; b--, strip += outs * strip_width(some)) {
            int64_t tap = (rows.first + a * rows.every) * s->kw + columns.first + b * columns.every;
            pack_strip(w + tap * p->columns, size, 1, outs, some, strip);
        }
}

// x = the input gradient of y, plus bias, which may be NULL. w lies as (O, kh, kw, C / groups).
EXPORT int direct_input(
    const struct geometry *s, const float *w, const float *y, const float *bias, float *x) {
    struct job j = {
        .image = y, .w = w, .bias = bias, .result = x, .slope = 1, .images = s->n,
        .image_size = s->oh * s->ow * s->o, .result_size = s->h * s->w * s->c, .groups = s->groups,
        .phases = s->sh * s->sw, .s = *s,
    };
    int64_t all = round_up(j.phases * sizeof(struct phase), 64) / sizeof(float), strips = 0;
    for (int64_t k = 0; k < j.phases; k++) {
        struct phase p = phase_of(s, k);
        strips += s->groups * packed_size(p.depth, p.columns);
    }
    float *memory = borrow(all + strips);
    if (!memory) return 1;
    j.phase = (struct phase *)memory;
    for (int64_t k = 0, at = all; k < j.phases; k++) {
        j.phase[k] = phase_of(s, k);
        j.phase[k].strips = memory + at;
        at += s->groups * packed_size(j.phase[k].depth, j.phase[k].columns);
    }
    int64_t packings = j.phases * s->groups * ceil_div(s->c / s->groups, WIDTH);
    int failed = share(pack_phase_part, &j, packings, 0) || convolve(&j);
    give_back(memory);
    return failed;
}
