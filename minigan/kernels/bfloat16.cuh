// bfloat16: the upper half of a float, its sign, its 8 bits of exponent and 7 of the fraction.

typedef unsigned short bfloat16;

// x rounded to the nearest one, halves to the one whose last bit is 0; NaN stays NaN, what is too large is infinite.
__device__ inline bfloat16 to_bfloat16(float x) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40;  // some bit of NaN's fraction must be left
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
