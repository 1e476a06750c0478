// The transforms of winograd.h, which the compiler makes out of their matrices.
//
// `transform` is written for any matrix. Where it is inlined with one of those below, its loops are unrolled and the
// entries are numbers in the code: what is multiplied by 0 is left out, by 1 taken as it is. A run of channels goes
// through it LANES at a time.
#include "winograd.h"

#define LARGEST 8  // R of the largest algorithm

// --- the matrices: B by R, G and A by m and r. Their points are 0, 1, -1, ... and infinity, their rows in this order

static const float B_3[3][3] = {{1, -1, 0}, {0, 1, 0}, {0, -1, 1}};  // 0, 1
static const float B_4[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};  // 0, 1, -1
static const float B_5[5][5] = {  // 0, 1, -1, 2
    {2, -1, -2, 1, 0}, {0, 2, 1, -1, 0}, {0, -2, 3, -1, 0}, {0, -1, 0, 1, 0}, {0, 2, -1, -2, 1}};
static const float B_6[6][6] = {  // 0, 1, -1, 1/2, -2
    {2, -3, -4, 3, 2, 0},  {0, -2, 1, 5, 2, 0}, {0, 2, -5, 1, 2, 0},
    {0, -2, -1, 2, 1, 0},  {0, 1, -2, -1, 2, 0}, {0, 1, -1.5f, -2, 1.5f, 1}};
static const float B_8[8][8] = {  // 0, 1, -1, 1/2, -1/2, 2, -2
    {4, 0, -21, 0, 21, 0, -4, 0}, {0, 4, 4, -17, -17, 4, 4, 0}, {0, -4, 4, 17, -17, -4, 4, 0},
    {0, 4, 8, -5, -10, 1, 2, 0},  {0, -4, 8, 5, -10, -1, 2, 0}, {0, 2, 1, -10, -5, 8, 4, 0},
    {0, -2, 1, 10, -5, -8, 4, 0}, {0, -1, 0, 5.25f, 0, -5.25f, 0, 1}};

static const float G_2_2[3][2] = {{1, 0}, {1, 1}, {0, 1}};
static const float A_2_2[3][2] = {{1, 0}, {1, 1}, {0, 1}};

static const float G_3_2[4][2] = {{1, 0}, {.5f, .5f}, {.5f, -.5f}, {0, 1}};
static const float A_3_2[4][3] = {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 1}};

static const float G_4_2[5][2] = {{.5f, 0}, {.5f, .5f}, {1.f / 6, -1.f / 6}, {1.f / 6, 1.f / 3}, {0, 1}};
static const float A_4_2[5][4] = {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {0, 0, 0, 1}};

static const float G_2_3[4][3] = {{1, 0, 0}, {.5f, .5f, .5f}, {.5f, -.5f, .5f}, {0, 0, 1}};
static const float A_2_3[4][2] = {{1, 0}, {1, 1}, {1, -1}, {0, 1}};

static const float G_4_3[6][3] = {{.5f, 0, 0},
                                  {1.f / 6, 1.f / 6, 1.f / 6},
                                  {-1.f / 6, 1.f / 6, -1.f / 6},
                                  {-16.f / 15, -8.f / 15, -4.f / 15},
                                  {1.f / 30, -1.f / 15, 2.f / 15},
                                  {0, 0, 1}};
static const float A_4_3[6][4] = {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, .5f, .25f, .125f}, {1, -2, 4, -8},
                                  {0, 0, 0, 1}};

static const float G_2_5[6][5] = {{.5f, 0, 0, 0, 0},
                                  {1.f / 6, 1.f / 6, 1.f / 6, 1.f / 6, 1.f / 6},
                                  {-1.f / 6, 1.f / 6, -1.f / 6, 1.f / 6, -1.f / 6},
                                  {-16.f / 15, -8.f / 15, -4.f / 15, -2.f / 15, -1.f / 15},
                                  {1.f / 30, -1.f / 15, 2.f / 15, -4.f / 15, 8.f / 15},
                                  {0, 0, 0, 0, 1}};
static const float A_2_5[6][2] = {{1, 0}, {1, 1}, {1, -1}, {1, .5f}, {1, -2}, {0, 1}};

static const float G_4_5[8][5] = {{.25f, 0, 0, 0, 0},
                                  {-1.f / 18, -1.f / 18, -1.f / 18, -1.f / 18, -1.f / 18},
                                  {-1.f / 18, 1.f / 18, -1.f / 18, 1.f / 18, -1.f / 18},
                                  {16.f / 45, 8.f / 45, 4.f / 45, 2.f / 45, 1.f / 45},
                                  {16.f / 45, -8.f / 45, 4.f / 45, -2.f / 45, 1.f / 45},
                                  {1.f / 360, 1.f / 180, 1.f / 90, 1.f / 45, 2.f / 45},
                                  {1.f / 360, -1.f / 180, 1.f / 90, -1.f / 45, 2.f / 45},
                                  {0, 0, 0, 0, 1}};
static const float A_4_5[8][4] = {{1, 0, 0, 0},           {1, 1, 1, 1},  {1, -1, 1, -1},  {1, .5f, .25f, .125f},
                                  {1, -.5f, .25f, -.125f}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1}};

// --- one transform --------------------------------------------------------------------------------------------

// rows x columns; entry (i, j) at `entries` + i down + j across, so that a transpose is the same numbers read across.
struct matrix {
    const float *entries;
    int rows, columns, down, across;
};

#define MATRIX(m) {m[0], sizeof(m) / sizeof(m[0]), sizeof(m[0]) / sizeof(float), sizeof(m[0]) / sizeof(float), 1}
#define TRANSPOSE(m) {m[0], sizeof(m[0]) / sizeof(float), sizeof(m) / sizeof(m[0]), 1, sizeof(m[0]) / sizeof(float)}

enum target { STORE, ADD, FINISH };

// Row i of `m` times the vectors x.
INLINE vec row_times(const struct matrix m, const int i, const vec *x) {
    vec sum = {0};
    int terms = 0;
    UNROLLED for (int j = 0; j < m.columns; j++) {
        const float entry = m.entries[i * m.down + j * m.across];
        if (entry == 0) continue;
        if (terms++)
            sum += entry * x[j];
        else
            sum = entry * x[j];
    }
    return sum;
}

// m from m^T for each float of the run, a multiple of LANES.
INLINE void transform(const struct matrix m, const enum target target, struct tile from, struct tile to, int64_t run,
                      const float *bias, float slope) {
    for (int64_t l = 0; l < run; l += LANES) {
        vec columns[LARGEST][LARGEST];  // m from: entry (i, j)
        UNROLLED for (int j = 0; j < m.columns; j++) {
            vec x[LARGEST];
            UNROLLED for (int k = 0; k < m.columns; k++) x[k] = load(from.at + k * from.down + j * from.across + l);
            UNROLLED for (int i = 0; i < m.rows; i++) columns[i][j] = row_times(m, i, x);
        }
        const vec shift = target == FINISH && bias ? load(bias + l) : splat(0);
        UNROLLED for (int i = 0; i < m.rows; i++) {
            UNROLLED for (int j = 0; j < m.rows; j++) {
                float *p = to.at + i * to.down + j * to.across + l;
                vec y = row_times(m, j, columns[i]);
                if (target == ADD) y += load(p);
                if (target == FINISH) {
                    y += shift;
                    y = choose(y > 0, y, slope * y);
                }
                store(p, y);
            }
        }
    }
}

// --- the transforms of each algorithm, and their table -------------------------------------------------------

#define TRANSFORM(name, target, ...)                                  \
    static void name(struct tile from, struct tile to, int64_t run) { \
        const struct matrix by = __VA_ARGS__;                         \
        transform(by, target, from, to, run, NULL, 1);                \
    }

#define IMAGE_TRANSFORMS(size)                       \
    TRANSFORM(image_##size, STORE, MATRIX(B_##size)) \
    TRANSFORM(add_image_##size, ADD, TRANSPOSE(B_##size))

#define TRANSFORMS(size, m, r)                                                                                    \
    TRANSFORM(result_##m##_##r, STORE, MATRIX(A_##m##_##r))                                                       \
    TRANSFORM(kernel_##m##_##r, STORE, MATRIX(G_##m##_##r))                                                       \
    TRANSFORM(kernel_back_##m##_##r, STORE, TRANSPOSE(G_##m##_##r))                                               \
    static void finish_##m##_##r(struct tile from, struct tile to, int64_t run, const float *bias, float slope) { \
        const struct matrix by = TRANSPOSE(A_##m##_##r);                                                          \
        transform(by, FINISH, from, to, run, bias, slope);                                                        \
    }

#define TABLE_ROW(size, m, r)                                                                    \
    {m, r, image_##size, add_image_##size, result_##m##_##r, finish_##m##_##r, kernel_##m##_##r, \
     kernel_back_##m##_##r},

// R, m and r of each.
#define EACH_ALGORITHM(define) \
    define(3, 2, 2) define(4, 3, 2) define(5, 4, 2) define(4, 2, 3) define(6, 4, 3) define(6, 2, 5) define(8, 4, 5)

IMAGE_TRANSFORMS(3)
IMAGE_TRANSFORMS(4)
IMAGE_TRANSFORMS(5)
IMAGE_TRANSFORMS(6)
IMAGE_TRANSFORMS(8)
EACH_ALGORITHM(TRANSFORMS)

static const struct algorithm algorithms[] = {EACH_ALGORITHM(TABLE_ROW)};

const struct algorithm *find_algorithm(int64_t m, int64_t r) {
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (algorithms[i].m == m && algorithms[i].r == r) return &algorithms[i];
    return NULL;
}
