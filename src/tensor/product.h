/*
 * product.h
 *	  A product of many factors that neither under- nor overflows on the way.
 */
#ifndef RLREC_PRODUCT_H
#define RLREC_PRODUCT_H

#include <float.h>
#include <math.h>

/* mantissa * 2^exponent */
typedef struct RlrecProduct
{
	double		mantissa;
	int64		exponent;
} RlrecProduct;

#define RLREC_PRODUCT_EMPTY {1, 0}

/* A factor is not negative. */
static inline void
rlrec_product_multiply(RlrecProduct *product, double factor)
{
	int			exponent;

	product->mantissa = Min(product->mantissa * factor, DBL_MAX);
	if (product->mantissa > 1e-100 && product->mantissa < 1e100)
		return;
	product->mantissa = frexp(product->mantissa, &exponent);
	product->exponent += exponent;
}

/* As far as a double goes: at most DBL_MAX */
static inline double
rlrec_product_value(const RlrecProduct *product)
{
	return Min(ldexp(product->mantissa, (int) Max(Min(product->exponent, 10000), -10000)), DBL_MAX);
}

/*
 * The values of two products, at most 1 each; where one of them is too small for a double, both times the same power of two, so that their ratio
 * stays. The first is not 0.
 */
static inline void
rlrec_product_values(RlrecProduct a, RlrecProduct b, double *value_a, double *value_b)
{
	int			exponent_a,
				exponent_b;

	a.mantissa = frexp(a.mantissa, &exponent_a);
	b.mantissa = frexp(b.mantissa, &exponent_b);
	a.exponent += exponent_a;
	b.exponent = b.mantissa == 0 ? a.exponent : b.exponent + exponent_b;
	if (Min(a.exponent, b.exponent) < DBL_MIN_EXP)
	{
		int64		most = Max(a.exponent, b.exponent);

		a.exponent -= most;
		b.exponent -= most;
	}
	*value_a = Max(rlrec_product_value(&a), DBL_MIN);
	*value_b = rlrec_product_value(&b);
}

#endif							/* RLREC_PRODUCT_H */
