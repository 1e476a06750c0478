/* What can be called from outside of the library; all else is hidden. */
#ifndef EXPORT_H
#define EXPORT_H

#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#endif
