// Images from one order of memory into the other: each is a matrix, of channels and pixels, that is transposed.
#include "passes.h"
#include "product.h"

#define BAND 64  // columns of a matrix that are turned together

struct layout {
    const float *x;
    float *y;
    int64_t count, rows, columns;  // of matrices, and of each in x
};

// Parts are bands of x's columns, which are rows of y.
static void turned_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct layout *l = job;
    int64_t bands = ceil_div(l->columns, BAND);
    struct span mine = span_of(l->count * bands, part, parts);
    for (int64_t band = mine.from; band < mine.to; band++) {
        int64_t j = band % bands * BAND, first = band / bands * l->rows * l->columns;
        int64_t wide = smaller(BAND, l->columns - j);
        transpose(l->x + first + j, l->columns, l->rows, wide, l->y + first + j * l->rows, l->rows);
    }
}

// y[k, j, i] = x[k, i, j] for `count` matrices of so many rows and columns
EXPORT int turned(const float *x, float *y, int64_t count, int64_t rows, int64_t columns) {
    struct layout job = {x, y, count, rows, columns};
    int64_t bands = count * ceil_div(columns, BAND);
    return share(turned_part, &job, smaller(parts_of(count * rows * columns), bands), 0);
}
