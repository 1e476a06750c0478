// Images as networks take them: x (1 / 127.5) - 1 of each byte, from a table of what that is for the 256 of them, which
// whoever calls has computed once: the same numbers as his, in one pass.
#include "passes.h"

struct images {
    const uint8_t *images;
    const float *table;
    const int64_t *order;  // which images, of gather_images
    float *out;
    int64_t count, size;  // of images, and of the bytes of each
};

static void scale(const uint8_t *restrict bytes, const float *restrict table, float *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = table[bytes[i]];
}

static void bytes_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct images *j = job;
    struct span mine = span_of_units(j->size, LINE, part, parts);
    scale(j->images + mine.from, j->table, j->out + mine.from, mine.to - mine.from);
}

static void images_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct images *j = job;
    struct span mine = span_of(j->count, part, parts);
    for (int64_t i = mine.from; i < mine.to; i++)
        scale(j->images + j->order[i] * j->size, j->table, j->out + i * j->size, j->size);
}

// out = table[bytes], of so many bytes
EXPORT int scaled(const uint8_t *bytes, const float *table, float *out, int64_t size) {
    struct images job = {bytes, table, NULL, out, 1, size};
    return share(bytes_part, &job, parts_of(size), 0);
}

// out[i] = table[images[order[i]]] for so many of them
EXPORT int gather_images(
    const uint8_t *images, const float *table, const int64_t *order, float *out, int64_t count, int64_t size) {
    struct images job = {images, table, order, out, count, size};
    return share(images_part, &job, smaller(parts_of(count * size), count), 0);
}
