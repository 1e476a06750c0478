// Images from one order of memory into the other: each is a matrix, of channels and pixels, that is transposed.
//
// It is gone through in squares that stay in the nearest cache, so that a line of x that has been fetched for one of
// its elements is still there for the others, and a line of y is written at once.
#include "passes.h"

#define SQUARE 32

struct layout {
    const float *x;
    float *y;
    int64_t count, rows, columns;  // of matrices, and of each in x
};

static void turn_square(
    const float *restrict x, float *restrict y, int64_t rows, int64_t columns, int64_t high, int64_t wide) {
    for (int64_t j = 0; j < wide; j++)
        for (int64_t i = 0; i < high; i++) y[j * rows + i] = x[i * columns + j];
}

// Parts are bands of SQUARE columns of x, which are rows of y.
static void turned_part(void *job, int64_t part, int64_t parts, UNUSED float *scratch) {
    const struct layout *l = job;
    int64_t bands = ceil_div(l->columns, SQUARE);
    struct span mine = span_of(l->count * bands, part, parts);
    for (int64_t band = mine.from; band < mine.to; band++) {
        int64_t j = band % bands * SQUARE, first = band / bands * l->rows * l->columns;
        int64_t wide = smaller(SQUARE, l->columns - j);
        for (int64_t i = 0; i < l->rows; i += SQUARE)
            turn_square(l->x + first + i * l->columns + j, l->y + first + j * l->rows + i, l->rows, l->columns,
                        smaller(SQUARE, l->rows - i), wide);
    }
}

// y[k, j, i] = x[k, i, j] for `count` matrices of so many rows and columns
EXPORT int turned(const float *x, float *y, int64_t count, int64_t rows, int64_t columns) {
    struct layout job = {x, y, count, rows, columns};
    int64_t bands = count * ceil_div(columns, SQUARE);
    return share(turned_part, &job, smaller(parts_of(count * rows * columns), bands), 0);
}
