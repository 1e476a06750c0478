// Squares of images, copied: patch.h.
#include "patch.h"

void copy_patch(const struct patch *p, float *copy, enum way way) {
    int64_t first = larger(0, -p->row), end = smaller(p->pixels, p->height - p->row);
    int64_t left = larger(0, -p->column), right = smaller(p->pixels, p->width - p->column);
    for (int64_t i = first; i < end; i++) {
        float *line = p->image + (p->row + i) * p->row_floats + p->column * p->channels;
        float *copied = copy + i * patch_row(p);
        for (int64_t j = left; j < right;) {
            int64_t next = smaller(right, j - j % p->group + p->group), n = (next - j) * p->channels;
            float *inside = line + j * p->channels;
            float *beside = copied + j / p->group * p->run + j % p->group * p->channels;
            if (way == READ)
                memcpy(beside, inside, n * sizeof(float));
            else if (way == WRITE)
                memcpy(inside, beside, n * sizeof(float));
            else
                for (int64_t l = 0; l < n; l++) inside[l] += beside[l];
            j = next;
        }
    }
}

struct tile patch_to_read(const struct patch *p, float *copy) {
    if (patch_is_inside(p)) return patch_in_place(p);
    memset(copy, 0, patch_size(p) * sizeof(float));
    copy_patch(p, copy, READ);
    return patch_in_copy(p, copy);
}
