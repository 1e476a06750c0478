// A square of an image that may stick out of it, read and written where it lies or by way of a copy.
#ifndef PATCH_H
#define PATCH_H

#include "winograd.h"

struct patch {
    float *image;           // its first pixel
    int64_t height, width;  // of what is read or written of the image
    int64_t row_floats;     // from one row of the image to the next
    int64_t channels;
    int64_t row, column;    // the square's first pixel
    int64_t pixels;         // of a side
    int64_t group, run;     // in a copy, every `group` pixels take `run` floats
};

// Does it lie in the image as it would in a copy?
INLINE int patch_is_inside(const struct patch *p) {
    return p->run == p->group * p->channels && p->row >= 0 && p->column >= 0 && p->row + p->pixels <= p->height &&
           p->column + p->pixels <= p->width;
}

// The square in the image, with `group` pixels as one.
INLINE struct tile patch_in_place(const struct patch *p) {
    float *at = p->image + p->row * p->row_floats + p->column * p->channels;
    return (struct tile){at, p->row_floats, p->group * p->channels};
}

INLINE int64_t patch_row(const struct patch *p) { return p->pixels / p->group * p->run; }

// Floats of a copy.
INLINE int64_t patch_size(const struct patch *p) { return p->pixels * patch_row(p); }

// The square in a copy of it.
INLINE struct tile patch_in_copy(const struct patch *p, float *copy) {
    return (struct tile){copy, patch_row(p), p->run};
}

enum way { READ, WRITE, ADD };

// Copies what is inside of the image from there, or to there, or adds it to what is there.
void copy_patch(const struct patch *p, float *copy, enum way way);

// The square to read, in the image or in the copy, with zeros where it sticks out.
struct tile patch_to_read(const struct patch *p, float *copy);

#endif
