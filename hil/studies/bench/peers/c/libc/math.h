/* What kernels of others need of <math.h>; the functions are the compiler's own library's. */
#ifndef MATH_H
#define MATH_H
#define isnan(x) __builtin_isnan(x)
double ceil(double);
double exp(double);
double floor(double);
double log(double);
double round(double);
double sqrt(double);
double fabs(double);
float expf(float);
float logf(float);
float roundf(float);
float sqrtf(float);
float fabsf(float);
#endif
